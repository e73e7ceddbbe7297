"""Dask as the engine of a cluster: a scheduler on the leader node, a worker on every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec
from toil_core.cluster_engine import ClusterEngine, EngineNode, Role
from toil_core.options import Config

from toil_dask import security

PORT = 8786


class DaskEngine(ClusterEngine):
    """Turns nodes into a cluster of Dask distributed, spoken to by TLS alone.

    Args:
        config: The options.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def requirements(self) -> Sequence[str]:
        return ("toil-dask",)

    def secrets(self, cluster: str) -> Mapping[str, bytes]:
        return security.make_secrets(cluster)

    def files(self, role: Role, leader_address: str, secrets: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {f"dask/{name}": data for name, data in secrets.items()}

    def command(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        if role == "leader":
            return ("python", "-m", "toil_dask.scheduler", "--folder", str(folder), "--host", leader_address)
        return worker_command(node, address(leader_address), folder)

    def ready(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        command = ("python", "-m", "toil_dask.ready", "--folder", str(folder), "--scheduler", address(leader_address))
        return command if role == "leader" else (*command, "--worker", node.name)

    def options(self, leader_address: str, folder: PurePosixPath) -> Mapping[str, str]:
        files = {f"dask_{name}": path for name, path in security.paths(folder).items()}
        return {"batch_system": "dask", "dask_scheduler": address(leader_address), **files}


def address(host: str, port: int = PORT) -> str:
    """The scheduler's address on that host."""
    return f"tls://[{host}]:{port}" if ":" in host else f"tls://{host}:{port}"


def worker_command(node: EngineNode, scheduler: str, folder: PurePosixPath) -> tuple[str, ...]:
    """The command that runs a worker on a node."""
    offer = node.offer
    command = ["python", "-m", "toil_dask.worker", "--folder", str(folder), "--scheduler", scheduler, "--name", node.name, "--host", node.address]
    for flag, amount in (("--cores", offer.cores), ("--memory", offer.memory), ("--disk", offer.disk)):
        if amount:
            command += [flag, f"{amount:g}" if isinstance(amount, float) else str(amount)]
    if offer.accelerators:
        command += ["--accelerators", msgspec.json.encode(offer.accelerators).decode()]
    return (*command, "--preemptible") if offer.preemptible else tuple(command)
