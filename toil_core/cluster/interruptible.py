"""A transport that begins nothing more once a launch is given up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from toil_core.errors import ToilError
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport


class GivenUp(ToilError):
    """The launch is given up, so nothing more is done on nodes."""


class Interruptible(SyncTransport):
    """Passes everything on until the event is set.

    Args:
        inner: The transport.
        give_up: Set when nothing more shall begin.
    """

    def __init__(self, inner: SyncTransport, give_up: threading.Event) -> None:
        self._inner = inner
        self._give_up = give_up

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        """As the transport does it."""
        self._check()
        return self._inner.run(node, command, stdin, timeout)

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        """As the transport does it."""
        self._check()
        self._inner.push(node, source, target, delete=delete)

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        """As the transport does it."""
        self._check()
        self._inner.pull(node, source, target, delete=delete)

    def _check(self) -> None:
        if self._give_up.is_set():
            raise GivenUp("the launch was given up")
