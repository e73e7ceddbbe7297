"""What a leader takes from the world around it: the time, chance, news, and how it tells leaders apart.

A simulated world gives its own; see `toil_core.testing.sim`.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from toil_core.batch_system import BatchSystem, Update
from toil_core.errors import UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.graph import Graph
from toil_core.wire.patient import PatientStore
from toil_core.wire.run import LeaderInfo


class Inbox:
    """Everything that a leader waits for, in one queue."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[list[Update] | BaseException | None] = queue.SimpleQueue()

    def listen(self, batch: BatchSystem) -> None:
        """Take in the batch system's updates until it is closed."""
        threading.Thread(target=self._pump, args=(batch,), name="toil-updates", daemon=True).start()

    def stop(self) -> None:
        """Have `get` say that a stop is asked for; from any thread, or from a signal handler."""
        self._queue.put(None)

    def get(self, seconds: float | None) -> list[Update] | None:
        """Wait for what happens next.

        Args:
            seconds: For how long at most; None for any time.

        Returns:
            The updates; none when only time passed. None when a stop is asked for.
        """
        try:
            item = self._queue.get(timeout=seconds)
        except queue.Empty:
            return []
        if isinstance(item, BaseException):
            raise item
        return item

    def _pump(self, batch: BatchSystem) -> None:
        try:
            while updates := batch.updates(None):
                self._queue.put(updates)
            if updates is None:  # else the leader would wait for ever
                raise UsageError(f"the batch system {type(batch).__name__} answers None to updates(), where a list is due; see toil_core.batch_system.BatchSystem")
        except BaseException as error:  # noqa: BLE001  it is raised again where the loop runs
            self._queue.put(error)


def _patient(store: JobStore, give_up: threading.Event) -> JobStore:
    return PatientStore(store, give_up=give_up)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The world around a leader; the real one by default.

    Args:
        now: The time in seconds since 1970.
        random_bytes: That many bytes which nobody else has.
        inbox: Makes what the leader waits on.
        graph: Makes the graph.
        patient: Makes a store that waits out passing troubles of another, until the event is set.
        this_leader: Describes this process as the leader of an epoch.
        alive: Whether that leader is at work; None when it cannot be told from here.
        fold_after: After how many results the graph is folded; see `Checkpoints`.
        readers: How many commits are read at a time when a graph is loaded; 1 for one after another, in this thread.
    """

    now: Callable[[], float] = time.time
    random_bytes: Callable[[int], bytes] = os.urandom
    inbox: Callable[[], Inbox] = Inbox
    graph: Callable[..., Graph] = Graph
    patient: Callable[[JobStore, threading.Event], JobStore] = _patient
    this_leader: Callable[[int], LeaderInfo] = epoch.this_leader
    alive: Callable[[LeaderInfo], bool | None] = epoch.alive
    readers: int = 16
    fold_after: int | None = None


REAL = Surroundings()
