"""The graph on disk: commits folded into numbered checkpoints, and the way back from them.

A restart reads one checkpoint and the commits that came after it. A new leader first puts a
tombstone where its predecessor would write its next checkpoint: a leader that was only asleep
fails there, and since blobs are removed only after a checkpoint that went through, it can
remove nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from toil_core.errors import CorruptBlob, LeaderReplaced
from toil_core.job_store import JobStore
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.moves import Committed
from toil_core.wire import commits, keys
from toil_core.wire.commits import Commit, create_once

TOMBSTONE = b"replaced"
_INITIAL = keys.commit(keys.ROOT, 0)
_PAYLOAD = 65536


@dataclass(slots=True)
class Found:
    """What was found in a store.

    Attributes:
        corrupt: What could not be read, in words for the user.
        replayed: The jobs whose results each replayed request had committed.
        stale: Commits that nobody needs any more.
        ended: Whether the leader of `base_epoch` stopped in good order.
        base_epoch: The epoch whose requests could have been under way.
        base_sequence: Its requests up to this number are settled, except the open ones.
        open: Its requests that were open at the checkpoint.
    """

    corrupt: list[str] = field(default_factory=list)
    replayed: dict[str, set[str]] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    ended: bool = False
    base_epoch: int = 1
    base_sequence: int = 0
    open: frozenset[str] = frozenset()


class Checkpoints:
    """Writes the graph of one epoch, and removes what it no longer needs.

    Args:
        store: The job store.
        epoch: This leader's epoch.
    """

    def __init__(self, store: JobStore, epoch: int) -> None:
        self._store = store
        self._epoch = epoch
        self._number = 0
        self._former: list[str] = []
        self._garbage: list[str] = []
        self._files: list[str] = []
        self._changes = 0

    def changed(self, jobs: int) -> None:
        """So many results were applied since the last call."""
        self._changes += jobs

    def delete_files(self, files: Iterable[str]) -> None:
        """Remove these global files once what decided it is in a checkpoint."""
        self._files.extend(files)

    def due(self, graph: Graph) -> bool:
        """Whether it is time: the cost of a checkpoint is spread over as many changes as it has jobs."""
        if self._files and len(graph.jobs) <= 1000 * len(self._files):
            return True
        return self._changes >= max(2000, len(graph.jobs))

    def write(self, graph: Graph, *, ended: bool = False) -> None:
        """Fold everything so far.

        Args:
            graph: The graph as it is.
            ended: Whether this leader stops in good order with it.

        Raises:
            LeaderReplaced: Another leader has taken over; nothing was changed.
        """
        key = keys.checkpoint(self._epoch, self._number)
        if not create_once(self._store, key, snapshot.encode(graph, ended=ended)):
            raise LeaderReplaced("another leader has taken this workflow over; this one stops")
        self._number += 1
        self._changes = 0
        # A blob outlives the checkpoint that made it superfluous by one, so that the one before can serve if this is damaged.
        doomed, self._garbage = self._garbage, self._collectable(graph)
        doomed += self._former[:-1]
        self._former = [*self._former[-1:], key]
        self._store.delete([*doomed, *self._files])
        self._files = []

    def inherit(self, former: Iterable[str], garbage: Iterable[str]) -> None:
        """Take charge of an earlier leader's checkpoints and of blobs that nobody needs."""
        self._former.extend(former)
        self._garbage.extend(garbage)

    def _collectable(self, graph: Graph) -> list[str]:
        garbage = list(dict.fromkeys(graph.garbage))
        graph.garbage = [key for key in garbage if keys.commit_parts(key)[0] in graph.requests]
        return [key for key in garbage if keys.commit_parts(key)[0] not in graph.requests]


def load(store: JobStore, graph: Graph) -> Found:
    """Fill an empty graph from the store: the last good checkpoint and the commits after it.

    The graph then holds open requests of the earlier leader; `Graph.take_over` ends them.

    Raises:
        CorruptBlob: Nothing that can be read says what the workflow is.
    """
    found = Found()
    saved = _last_good(store, found)
    if saved is None:
        commit, start = commits.read(store, _INITIAL)
        graph.load(commit, _INITIAL, start, None)
    else:
        snapshot.restore(graph, saved)
        found.ended, found.base_epoch, found.base_sequence = saved.ended, saved.epoch, saved.sequence
        found.open = frozenset(graph.requests)
    _replay(store, graph, found)
    return found


def ended(store: JobStore) -> bool:
    """Whether the last leader stopped in good order."""
    for key in _newest_first(store):
        data = _get(store, key)
        if data == TOMBSTONE:
            return False
        try:
            return snapshot.decode(data, key).ended
        except CorruptBlob:
            return False
    return False


def bury(store: JobStore, epoch: int) -> None:
    """Make sure that no leader before the epoch can write a checkpoint any more."""
    free: dict[int, int] = {}
    for key in _newest_first(store):
        written_by, _, last = key.removeprefix(keys.CHECKPOINTS).partition("-")
        free.setdefault(int(written_by), int(last) + 1)
    for former in range(min(free, default=1), epoch):
        number = free.get(former, 0)
        while not create_once(store, keys.checkpoint(former, number), TOMBSTONE):
            number += 1


def existing(store: JobStore) -> list[str]:
    """The keys of every checkpoint and tombstone."""
    return sorted(blob.key for blob in store.list(keys.CHECKPOINTS))


def orphans(store: JobStore, found: Found) -> Iterator[str]:
    """Files of attempts that were under way when the last leader ended and never came to count."""
    for blob in store.list(f"{keys.FILES}{found.base_epoch}-"):
        request, _, rest = blob.key.removeprefix(keys.FILES).partition("/")
        unsettled = keys.request_order(request)[1] > found.base_sequence or request in found.open
        if unsettled and rest.partition("/")[0] not in found.replayed.get(request, ()):
            yield blob.key


def _newest_first(store: JobStore) -> list[str]:
    return sorted((blob.key for blob in store.list(keys.CHECKPOINTS)), reverse=True)


def _get(store: JobStore, key: str) -> bytes:
    with store.read(key) as stream:
        return stream.read()


def _last_good(store: JobStore, found: Found) -> snapshot.Snapshot | None:
    for key in _newest_first(store):
        data = _get(store, key)
        if data != TOMBSTONE:
            try:
                return snapshot.decode(data, key)
            except CorruptBlob as error:
                found.corrupt.append(f"{error}; the checkpoint before it is used")
    return None


def _replay(store: JobStore, graph: Graph, found: Found) -> None:
    wanted = []
    for blob in store.list(keys.COMMITS):
        request, number = keys.commit_parts(blob.key)
        if request == keys.ROOT:
            continue
        epoch, sequence = keys.request_order(request)
        if epoch == found.base_epoch and (sequence > found.base_sequence or request in found.open):
            wanted.append((sequence, number, blob.key))
        elif blob.key not in graph.held:
            found.stale.append(blob.key)
    wanted.sort()
    with ThreadPoolExecutor(16) as pool:
        for key, read in zip((key for _, _, key in wanted), pool.map(lambda item: _read(store, item[2]), wanted), strict=True):
            if isinstance(read, CorruptBlob):
                found.corrupt.append(f"{read}; its jobs run again")
                continue
            commit, start, payload = read
            for entry in commit.entries:
                if entry.result.failure is None:
                    found.replayed.setdefault(commit.request, set()).add(entry.result.job)
            graph.replay(Committed(commit, key, start, payload, 0.0))


def _read(store: JobStore, key: str) -> tuple[Commit, int, bytes | None] | CorruptBlob:
    try:
        with store.read(key, 0, _PAYLOAD) as stream:
            data = stream.read()
        commit, start = commits.read(store, key) if len(data) >= _PAYLOAD else commits.whole(data, key)
    except CorruptBlob as error:
        return error
    return commit, start, data[start:] if len(data) < _PAYLOAD else None
