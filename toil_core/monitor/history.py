"""Every attempt of a workflow that ended, read from its job store."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.checkpoints import Found
from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt, decode
from toil_core.leader.options import EngineOptions
from toil_core.monitor import status
from toil_core.options import Config
from toil_core.wire import keys


def read(store: JobStore, locator: str = "") -> Iterator[Attempt]:
    """Every attempt that ended, oldest first as far as leaders took them in; each once.

    Works on stores whose leader is at work, is dead, ended, or never was. Of a leader at work or dead,
    attempts that failed without a commit since its last checkpoint are not known yet; everything that
    committed is. Memory holds the graph as it is now and a part of the attempts.

    Args:
        store: The job store.
        locator: What the user calls it, for errors.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        CorruptBlob: What holds attempts, or says what the workflow is, is truncated or altered.
    """
    info = status.workflow_info(store, locator)
    if info is None:
        return
    told = status.setup(store, epoch.last_epoch(store))
    yield from of(store, *status.load(store, told.options if told else info.options))


def of(store: JobStore, graph: Graph, found: Found) -> Iterator[Attempt]:
    """Every attempt that ended before the store was read.

    Args:
        store: The job store.
        graph: As it was read by `toil_core.monitor.status.load`.
        found: The same.

    Raises:
        CorruptBlob: A blob is truncated or altered.
    """
    places = _Places(store)
    for attempt in _recorded(store, graph, found):
        yield attempt if attempt.node else msgspec.structs.replace(attempt, node=places.of(attempt.request))


def _recorded(store: JobStore, graph: Graph, found: Found) -> Iterator[Attempt]:
    for blob in sorted(store.list(keys.HISTORY), key=lambda blob: blob.key):
        written_by, _, number = blob.key.removeprefix(keys.HISTORY).partition("-")
        if int(number) < found.histories.get(int(written_by), 0):
            yield from decode(_whole(store, blob.key), blob.key)
    yield from decode(graph.past.blob(), "commits since the last checkpoint")


class _Places:
    """Where requests ran whose commits were read without what their leader knew of them.

    Args:
        store: The job store.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._hosts: dict[int, str] = {}

    def of(self, request: str) -> str:
        """The node; empty when it is not known, as on a cluster."""
        number = keys.request_order(request)[0]
        if number not in self._hosts:
            self._hosts[number] = self._host(number)
        return self._hosts[number]

    def _host(self, number: int) -> str:
        told = status.setup(self._store, number)
        if told is None or Config.from_dict(told.options)[EngineOptions].batch_system != "single_machine":
            return ""
        leader = epoch.leader_info(self._store, number)
        return leader.host if leader else ""


def _whole(store: JobStore, key: str) -> bytes:
    try:
        with store.read(key) as stream:
            return stream.read()
    except NoSuchKey:
        raise CorruptBlob(key, "history that was there has been removed") from None
