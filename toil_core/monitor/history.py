"""Every attempt of a workflow that ended, read from its job store."""

from __future__ import annotations

from collections.abc import Iterator

from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.checkpoints import Found
from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt, decode
from toil_core.monitor import status
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
    for blob in sorted(store.list(keys.HISTORY), key=lambda blob: blob.key):
        written_by, _, number = blob.key.removeprefix(keys.HISTORY).partition("-")
        if int(number) < found.histories.get(int(written_by), 0):
            yield from decode(_whole(store, blob.key), blob.key)
    yield from decode(graph.past.blob(), "commits since the last checkpoint")


def _whole(store: JobStore, key: str) -> bytes:
    try:
        with store.read(key) as stream:
            return stream.read()
    except NoSuchKey:
        raise CorruptBlob(key, "history that was there has been removed") from None
