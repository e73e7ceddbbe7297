"""Every attempt of a workflow that ended, read from its job store."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.checkpoints import Found
from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt, decode
from toil_core.monitor import status
from toil_core.wire import keys


def read(store: JobStore, locator: str = "", damaged: list[str] | None = None) -> Iterator[Attempt]:
    """Every attempt that ended, oldest first as far as leaders took them in; each once.

    Works on stores whose leader is at work, is dead, ended, or never was. Of a leader at work or dead,
    attempts that failed without a commit since its last checkpoint are not known yet; everything that
    committed is. Memory holds the graph as it is now and a part of the attempts.

    Args:
        store: The job store.
        locator: What the user calls it, for errors.
        damaged: As `of` takes it.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        CorruptBlob: What holds attempts and is not to be left out, or says what the workflow is, is truncated or altered.
    """
    info = status.workflow_info(store, locator)
    if info is None:
        return
    told = status.setup(store, epoch.last_epoch(store))
    yield from of(store, *status.load(store, told.options if told else info.options), damaged)


def of(store: JobStore, graph: Graph, found: Found, damaged: list[str] | None = None) -> Iterator[Attempt]:
    """Every attempt that ended before the store was read.

    Args:
        store: The job store.
        graph: As it was read by `toil_core.monitor.status.load`.
        found: The same.
        damaged: Takes what is wrong with blobs that are truncated or altered, whose rest is then left out; None to raise it.

    Raises:
        CorruptBlob: A blob is truncated or altered, and that is not to be left out.
    """
    for blob in sorted(store.list(keys.HISTORY), key=lambda blob: blob.key):
        written_by, _, number = blob.key.removeprefix(keys.HISTORY).partition("-")
        if int(number) < found.histories.get(int(written_by), 0):
            try:
                yield from decode(_whole(store, blob.key), blob.key)
            except CorruptBlob as error:
                if damaged is None:
                    raise
                damaged.append(str(error))
    yield from decode(graph.past.blob(), "commits since the last checkpoint")


def tell_damage(damaged: list[str]) -> int:
    """Say on standard error what was left out.

    Args:
        damaged: What `of` noted there.

    Returns:
        The exit code: 1 when something was left out, else 0.
    """
    for what in damaged:
        print(f"toil: warning: {what}; the attempts that it told of are left out", file=sys.stderr)
    return 1 if damaged else 0


def _whole(store: JobStore, key: str) -> bytes:
    try:
        with store.read(key) as stream:
            data = stream.read()
    except NoSuchKey:
        raise CorruptBlob(key, "history that was there has been removed") from None
    if not data:  # no leader writes nothing
        raise CorruptBlob(key, "truncated history")
    return data
