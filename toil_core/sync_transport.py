"""The sync transport contract: reach into a node, run a command there, copy there and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess
from typing import Protocol, runtime_checkable

from toil_core.closing import Closing
from toil_core.provisioner import Node


class SyncTransport(Closing):
    """Three primitives. Raises `Transient` when the node cannot be reached (yet)."""

    @abstractmethod
    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"") -> CompletedProcess[bytes]:
        """Run a command on the node to its end; a bad exit code is the caller's to judge."""

    @abstractmethod
    def push(self, node: Node, source: Path, target: PurePosixPath) -> None:
        """Make target on the node equal the local source, sending only what differs."""

    @abstractmethod
    def pull(self, node: Node, source: PurePosixPath, target: Path) -> None:
        """Make the local target equal source on the node, fetching only what differs."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class HasShell(Protocol):
    """A transport that can hand the user's terminal to a node."""

    def shell(self, node: Node, command: Sequence[str] = ()) -> int:
        """Run a command, or a login shell, on this terminal; its exit code."""
        ...


@runtime_checkable
class CanForward(Protocol):
    """A transport that can make a node's port appear on this machine."""

    def forward(self, node: Node, port: int) -> AbstractContextManager[int]:
        """While open, the node's port answers on the local port that is given."""
        ...
