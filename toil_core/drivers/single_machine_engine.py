"""The engine `single_machine`: the leader node runs the jobs itself. For clusters of one large node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from toil_core.cluster_engine import ClusterEngine, EngineNode, Role
from toil_core.options import Config


class SingleMachineEngine(ClusterEngine):
    """Needs nothing; on workers nothing of a workflow runs.

    Args:
        config: The options.
    """

    def __init__(self, config: Config) -> None:
        del config

    def files(self, role: Role, leader_address: str, secrets: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """None."""
        return {}

    def command(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        """Something that stays: workflows bring their own workers."""
        return ["sleep", "infinity"]

    def ready(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        """At once."""
        return ["true"]

    def options(self, leader_address: str, folder: PurePosixPath) -> Mapping[str, str]:
        """The batch system that runs jobs where the leader is."""
        return {"batch_system": "single_machine"}
