"""Waiting for machines: one thread asks the cloud, for all who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from toil_core.errors import Transient
from toil_core.provisioner import Node, Provisioner

_FIRST, _MOST = 0.1, 5.0
"""Seconds between two questions; clouds tell of nothing by themselves, and dislike to be asked often."""
_GONE = 300.0
"""Seconds that machines may take to be gone."""


class Machines:
    """The nodes of a cluster as they come.

    Args:
        ask: Asks the cloud.
        give_up: Set when nobody waits any more.
    """

    def __init__(self, ask: Callable[[], Iterable[Node]], give_up: threading.Event) -> None:
        self._ask = ask
        self._give_up = give_up
        self._nodes: dict[str, Node] = {}
        self._waiting = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="machines", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._give_up.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()

    def wait(self, name: str, limit: float) -> Node:
        """The node, as soon as it has an address.

        Args:
            name: Its name.
            limit: Until when to wait.

        Raises:
            Transient: It has none in time.
        """
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(lambda: self._give_up.is_set() or self._has_address(name), max(0.0, limit - time.monotonic()))
            finally:
                self._waiting -= 1
            if not self._has_address(name):
                raise Transient("it has got no address" if name in self._nodes else "the cloud has not made it")
            return self._nodes[name]

    def has(self, name: str) -> bool:
        """Whether the cloud has named the node."""
        with self._changed:
            return name in self._nodes

    def __getitem__(self, name: str) -> Node:
        with self._changed:
            return self._nodes[name]

    def _watch(self) -> None:
        pause = _FIRST
        while not self._give_up.is_set():
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting or self._give_up.is_set(), 60):
                    continue
            try:
                nodes = {node.name: node for node in self._ask()}
            except Transient:
                nodes = None
            with self._changed:
                if nodes is not None:
                    self._nodes |= nodes
                    self._changed.notify_all()
            self._give_up.wait(pause)
            pause = min(1.5 * pause, _MOST)

    def _has_address(self, name: str) -> bool:
        node = self._nodes.get(name)
        return node is not None and bool(node.private_address or node.public_address)


def take_away(cloud: Provisioner, cluster: str, names: Iterable[str]) -> None:
    """Remove machines, and wait until they are gone.

    Args:
        cloud: The cloud.
        cluster: The cluster's name.
        names: Their names.

    Raises:
        Transient: They are still there.
    """
    names = tuple(names)
    cloud.terminate(cluster, names)
    await_gone(lambda: cloud.nodes(cluster), names, _GONE)


def await_gone(ask: Callable[[], Iterable[Node]], names: Iterable[str], seconds: float) -> None:
    """Wait until a cloud has no such machines.

    Args:
        ask: Asks the cloud.
        names: Their names.
        seconds: For how long to wait.

    Raises:
        Transient: They are still there.
    """
    wanted, limit, pause = set(names), time.monotonic() + seconds, _FIRST
    while left := {node.name for node in ask()} & wanted:
        if time.monotonic() > limit:
            raise Transient(f"{', '.join(sorted(left))} is still there after {seconds:g} s")
        threading.Event().wait(pause)
        pause = min(1.5 * pause, _MOST)
