"""What a leader notes of its nodes, and of what it sent to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distributed import Future
from distributed.comm import get_address_host

from toil_dask.messages import Hello


@dataclass(eq=False)
class Member:
    """A node that has said hello.

    Args:
        hello: What it said.
        preempted: Whether it will be taken away.
    """

    hello: Hello
    preempted: bool = False

    @property
    def host(self) -> str:
        """The address of its machine."""
        return str(get_address_host(self.hello.address))

    @property
    def machine(self) -> tuple[str, str]:
        """What stays the same when the node, or the scheduler, ends and comes back."""
        return self.host, self.hello.name


@dataclass(eq=False)
class Flight:
    """A request that was sent to a node.

    Args:
        node: The node.
        future: Dask's name for it.
        running: Whether the node has begun it.
        unwanted: Whether it was cancelled.
    """

    node: str
    future: Future[Any]
    running: bool = False
    unwanted: bool = False
