"""The way into the machines of a simulated cloud: another transport, as long as the machine answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess
from typing import TypeVar

from toil_core.errors import Transient
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport
from toil_core.testing.sim.provisioner import SimulatedCloud

T = TypeVar("T")

TRANSPORT_FAULTS = ("lost before", "lost after")
"""What can happen to a call: the connection is lost before it did anything, or when it was done."""


class SimulatedTransport(SyncTransport):
    """Reaches the machines of a simulated cloud that are up.

    Args:
        cloud: The cloud.
        inner: Does the work; `local` makes nodes of folders.
    """

    def __init__(self, cloud: SimulatedCloud, inner: SyncTransport) -> None:
        self._cloud = cloud
        self._inner = inner

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        return self._reach(node, "run", lambda: self._inner.run(node, command, stdin, timeout))

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        self._reach(node, "push", lambda: self._inner.push(node, source, target, delete=delete))

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        self._reach(node, "pull", lambda: self._inner.pull(node, source, target, delete=delete))

    def close(self) -> None:
        self._inner.close()

    def _reach(self, node: Node, what: str, do: Callable[[], T]) -> T:
        cloud = self._cloud
        with cloud.lock:
            cloud.reached(node)
            call = f"{what} on {node.name}"
            fault = cloud.chance.fault(cloud.chance.site(call), TRANSPORT_FAULTS)
            cloud.tell(f"{call}{': ' + fault if fault else ''}")
        if fault == "lost before":
            raise Transient(f"node {node.name}: the connection was lost")
        done = do()
        cloud.reached(node)
        if fault == "lost after":
            raise Transient(f"node {node.name}: the connection was lost")
        return done
