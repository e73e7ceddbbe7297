"""The graph on disk: commits folded into numbered checkpoints, and the way back from them.

A restart reads one checkpoint and the commits that came after it. A new leader first puts a
tombstone where its predecessor would write its next checkpoint: a leader that was only asleep
fails there, and since blobs are removed only after a checkpoint that went through, it can
remove nothing any more. Tombstones stay as long as the store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from math import inf
from time import perf_counter

from toil_core.errors import CorruptBlob, LeaderReplaced, NoSuchKey, StoreInconsistent
from toil_core.job_store import Blob, JobStore
from toil_core.leader import snapshot
from toil_core.leader.collector import paused
from toil_core.leader.graph import Graph
from toil_core.leader.moves import Committed, Delete, Done
from toil_core.leader.state import untold
from toil_core.wire import commits, keys
from toil_core.wire.commits import Commit, create_once
from toil_core.wire.reread import reread

TOMBSTONE = b"replaced"
_REPLACED = "another leader has taken this workflow over; this one stops"
_INITIAL = keys.commit(keys.ROOT, 0)
_WHOLE = 64 << 20
_RUN = 16
"""So many commits are read one after another by one thread: to hand each over alone costs more than to read it."""
_LEAST = 2000
"""No checkpoint is due after fewer results, unless files are to be deleted."""
_FEW = 3
_QUICK = 0.0005
"""A store of which the quickest of the first few commits took less than so many seconds is read by this thread: others would only be in its way."""

_Read = tuple[Commit, int, bytes | None] | CorruptBlob
"""A commit, where its payload starts, and that payload when it is small; or why it cannot be read."""


@dataclass(slots=True)
class Found:
    """What was found in a store.

    Attributes:
        corrupt: What could not be read, in words for the user.
        checkpoint: The key of the checkpoint that the graph was read from; empty when there was none.
        replayed: The jobs whose results were taken in from each replayed request.
        deleted: Global files that these results deleted, or that the checkpoint says were about to be.
        stale: Commits that nobody needs any more.
        ended: Whether the leader of `base_epoch` stopped in good order.
        base_epoch: The epoch whose requests could have been under way.
        base_sequence: Its requests up to this number are settled, except the open ones.
        open: Its requests that were open at the checkpoint: the jobs not told of, and how many of its tasks were told of.
        histories: Of each epoch, how many blobs of history count.
    """

    corrupt: list[str] = field(default_factory=list)
    checkpoint: str = ""
    replayed: dict[str, set[str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    ended: bool = False
    base_epoch: int = 1
    base_sequence: int = 0
    open: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    histories: dict[int, int] = field(default_factory=dict)


class Checkpoints:
    """Writes the graph of one epoch, and removes what it no longer needs.

    Args:
        store: The job store.
        epoch: This leader's epoch.
        every: Fold after so many results; None for as many as the graph has jobs, and 2,000 at least.
    """

    def __init__(self, store: JobStore, epoch: int, every: int | None = None) -> None:
        self._store = store
        self._every = every
        self._epoch = epoch
        self._number = 0
        self._former: list[str] = []
        self._garbage: list[str] = []
        self._files: list[str] = []
        self._changes = self._commits = 0
        self._histories: dict[int, int] = {}

    def changed(self, jobs: int) -> None:
        """A commit with so many results was applied."""
        self._changes += jobs
        self._commits += 1

    def delete_files(self, files: Iterable[str]) -> None:
        """Remove these global files once what decided it is in a checkpoint."""
        self._files.extend(files)

    def due(self, graph: Graph) -> bool:
        """Whether it is time: the cost of a checkpoint is spread over as many changes as it has jobs; of large graphs over a
        tenth of that, as a new leader has to take in all changes since, and to read a commit costs it as much as a result."""
        if not (self._files or self._every or self._changes >= _LEAST or self._commits >= _LEAST):
            return False
        jobs = len(graph.jobs)
        if self._files and jobs <= 100 * len(self._files):
            return True
        if self._every:
            return self._changes >= self._every
        return self._changes >= max(_LEAST, jobs) or self._changes + self._commits >= 50_000 + jobs // 10

    def check_leader(self) -> None:
        """Make sure that no other leader has taken over since the last checkpoint.

        Raises:
            LeaderReplaced: One has.
        """
        try:
            self._store.stat(keys.leader(self._epoch + 1))
        except NoSuchKey:
            return
        raise LeaderReplaced(_REPLACED)

    def write(self, graph: Graph, *, ended: bool = False) -> None:
        """Fold everything so far.

        Args:
            graph: The graph as it is.
            ended: Whether this leader stops in good order with it.

        Raises:
            LeaderReplaced: Another leader has taken over; nothing was changed.
        """
        key = keys.checkpoint(self._epoch, self._number)
        history = graph.past.blob()
        if history:
            self._store.write(keys.history(self._epoch, self._number), BytesIO(history))
            self._histories[self._epoch] = self._number + 1
        if not create_once(self._store, key, snapshot.encode(graph, ended=ended, histories=self._histories, deleting=self._files)):
            raise LeaderReplaced(_REPLACED)
        graph.past.written()
        self._number += 1
        self._changes = self._commits = 0
        # A blob outlives the checkpoint that made it superfluous by one, so that the one before can serve if this is damaged.
        doomed, self._garbage = self._garbage, self._collectable(graph)
        doomed += self._former[:-1]
        self._former = [*self._former[-1:], key]
        if _INITIAL in doomed:  # something has to stay there, or another could begin here anew
            doomed.remove(_INITIAL)
            self._store.write(_INITIAL, BytesIO(TOMBSTONE))
        self._store.delete([*doomed, *self._files])
        self._files = []

    def inherit(self, former: Iterable[str], found: Found) -> None:
        """Take charge of what earlier leaders left.

        Args:
            former: Their checkpoints.
            found: What was read; its checkpoint stays until this leader has written two.
        """
        self._histories = dict(found.histories)
        self._former.extend(key for key in former if key != found.checkpoint)
        if found.checkpoint:
            self._former.append(found.checkpoint)
        self._garbage.extend(found.stale)
        self._files.extend(found.deleted)

    def _collectable(self, graph: Graph) -> list[str]:
        garbage = dict.fromkeys(graph.garbage)
        needed = {key for key in garbage if keys.commit_parts(key)[0] in graph.requests}
        graph.garbage = [key for key in garbage if key in needed]
        return [key for key in garbage if key not in needed]


def start_again(store: JobStore, graph: Graph, checkpoints: Checkpoints, epoch: int, readers: int = 16) -> Found:
    """Go on from what earlier leaders left, which have been buried: fill the graph, and fold it.

    Args:
        store: The job store.
        graph: The empty graph.
        checkpoints: Those of the new leader.
        epoch: Its epoch.
        readers: How many commits are read at a time, where each takes long.

    Raises:
        CorruptBlob: Nothing that can be read says what the workflow is.
        LeaderReplaced: Another leader has taken over.
    """
    with paused():
        former = existing(store)
        found = load(store, graph, readers)
        graph.take_over(epoch)
        graph.finished = graph.complete
        checkpoints.inherit(former, found)
        checkpoints.delete_files(orphans(store, found, epoch))
        checkpoints.write(graph, ended=graph.finished)
    return found


def load(store: JobStore, graph: Graph, readers: int = 16) -> Found:
    """Fill an empty graph from the store: the last good checkpoint and the commits after it.

    The graph then holds open requests of the earlier leader; `Graph.take_over` ends them.

    Args:
        store: The job store.
        graph: The graph.
        readers: How many commits are read at a time, where each takes long.

    Raises:
        CorruptBlob: Nothing that can be read says what the workflow is.
    """
    found = Found()
    saved = _last_good(store, found)
    if saved is None:
        try:
            load_initial(store, graph)
        except (NoSuchKey, CorruptBlob):
            if found.corrupt:
                raise CorruptBlob(keys.CHECKPOINTS, found.corrupt[-1]) from None
            raise
    else:
        snapshot.restore(graph, saved)
        found.deleted.extend(saved.deleting)  # its leader may have died before it did
        found.ended, found.base_epoch, found.base_sequence = saved.ended, saved.epoch, saved.sequence
        found.open = {id: (members, told) for id, _, members, told in saved.requests if members}
        found.histories = saved.histories
    _replay(store, graph, found, readers)
    return found


def load_initial(store: JobStore, graph: Graph) -> None:
    """Fill an empty graph with the jobs that the user's program made.

    Small bodies are taken along, so that no worker need read them again.

    Raises:
        NoSuchKey: The store holds no workflow.
        CorruptBlob: What it holds is truncated or altered.
    """
    commit, start, payload = reread(lambda: _initial(store))
    graph.load(commit, _INITIAL, start, payload)


def _initial(store: JobStore) -> tuple[Commit, int, bytes | None]:
    if store.stat(_INITIAL).size <= _WHOLE:
        data = _get(store, _INITIAL)
        commit, start = commits.whole(data, _INITIAL)
        return commit, start, commits.sound(commit, data[start:], _INITIAL)
    commit, start = commits.read(store, _INITIAL)
    return commit, start, None


def ended(store: JobStore) -> int:
    """The epoch of the leader that stopped in good order with the newest checkpoint; 0 when none did."""
    blob = max(store.list(keys.CHECKPOINTS), key=lambda blob: blob.key, default=None)
    if blob is None or _is_tombstone(blob):
        return 0
    try:
        saved = reread(lambda: snapshot.decode_head(_get(store, blob.key), blob.key))
    except (CorruptBlob, NoSuchKey):  # it is gone when a leader is at work that has written newer ones
        return 0
    return saved.epoch if saved.ended else 0


def bury(store: JobStore, epoch: int) -> None:
    """Make sure that no leader before the epoch can write a checkpoint any more.

    A leader that is at work meanwhile writes checkpoints and removes old ones, so that a tombstone may come too late
    for the place where it was to lie, even when that is free: it counts only if it is found after the last checkpoint.

    Raises:
        StoreInconsistent: The place was taken, and yet nothing is found there or after it.
    """
    tried: dict[int, int] = {}
    while True:
        last, graves = dict.fromkeys(range(1, epoch), -1), dict.fromkeys(range(1, epoch), -1)
        for blob in store.list(keys.CHECKPOINTS):
            written_by, _, number = blob.key.removeprefix(keys.CHECKPOINTS).partition("-")
            newest = graves if _is_tombstone(blob) else last
            newest[int(written_by)] = max(newest.get(int(written_by), -1), int(number))
        at_large = [former for former in range(1, epoch) if graves[former] <= last[former]]
        if not at_large:
            return
        for former in at_large:
            key = keys.checkpoint(former, last[former] + 1)
            if max(last[former], graves[former]) < tried.get(former, -1):
                raise StoreInconsistent(key, "it exists but is not listed; either the job store is being removed, or it shows changes late, which no run survives")
            create_once(store, key, TOMBSTONE)
            tried[former] = last[former] + 1


def existing(store: JobStore) -> list[str]:
    """The keys of every checkpoint, oldest first."""
    return sorted(blob.key for blob in store.list(keys.CHECKPOINTS) if not _is_tombstone(blob))


def orphans(store: JobStore, found: Found, epoch: int) -> Iterator[str]:
    """Files of attempts that were under way when the leaders before the epoch ended and never came to count."""
    for former in range(found.base_epoch, epoch):
        for blob in store.list(f"{keys.FILES}{former}-"):
            request, _, rest = blob.key.removeprefix(keys.FILES).partition("/")
            job = rest.partition("/")[0]
            if request in found.open:
                unsettled = untold(request, job, *found.open[request])
            else:
                unsettled = keys.request_order(request) > (found.base_epoch, found.base_sequence)
            if unsettled and job not in found.replayed.get(request, ()):
                yield blob.key


def _is_tombstone(blob: Blob) -> bool:
    return blob.size == len(TOMBSTONE)  # no checkpoint is that short


def _get(store: JobStore, key: str) -> bytes:
    with store.read(key) as stream:
        return stream.read()


def _saved(store: JobStore, key: str) -> snapshot.Snapshot:
    return reread(lambda: snapshot.decode(_get(store, key), key))


def _last_good(store: JobStore, found: Found) -> snapshot.Snapshot | None:
    for key in reversed(existing(store)):
        try:
            saved = _saved(store, key)
        except CorruptBlob as error:
            found.corrupt.append(f"{error}; the checkpoint before it is used")
            continue
        found.checkpoint = key
        return saved
    return None


def _replay(store: JobStore, graph: Graph, found: Found, readers: int) -> None:
    wanted = []
    for blob in store.list(keys.COMMITS):
        request, number = keys.commit_parts(blob.key)
        epoch, sequence = (0, 0) if request == keys.ROOT else keys.request_order(request)
        if epoch == found.base_epoch and (sequence > found.base_sequence or request in found.open):
            wanted.append((sequence, number, blob.key))
        elif blob.key not in graph.held and (found.checkpoint or blob.key != _INITIAL) and not _is_tombstone(blob):
            found.stale.append(blob.key)
    wanted.sort()
    found_keys = [key for _, _, key in wanted]
    for key, read in zip(found_keys, _reads(store, found_keys, readers), strict=True):
        if isinstance(read, CorruptBlob):
            found.corrupt.append(f"{read}; its jobs run again")
            found.stale.append(key)
            continue
        commit, start, payload = read
        for command in graph.replay(Committed(commit, key, start, payload, 0.0)):
            if isinstance(command, Done):
                found.replayed.setdefault(commit.request, set()).add(command.job)
            elif isinstance(command, Delete):
                found.deleted.extend(command.keys)


def _reads(store: JobStore, found_keys: Sequence[str], readers: int) -> Iterator[_Read]:
    """What the keys hold, in order; of a store that is far, many are read at a time, and no more held than a few for each reader."""
    few, rest = found_keys[:_FEW], found_keys[_FEW:]
    quickest = inf
    for key in few:
        began = perf_counter()
        read = _read(store, key)
        quickest = min(quickest, perf_counter() - began)
        yield read
    if readers <= 1 or len(rest) <= 1 or quickest < _QUICK:
        yield from (_read(store, key) for key in rest)
        return
    size = max(1, min(_RUN, len(rest) // readers))
    runs = (rest[at : at + size] for at in range(0, len(rest), size))
    with ThreadPoolExecutor(readers) as pool:
        ahead = deque(pool.submit(_read_run, store, run) for run in islice(runs, 2 * readers))
        while ahead:
            yield from ahead.popleft().result()
            ahead.extend(pool.submit(_read_run, store, run) for run in islice(runs, 1))


def _read_run(store: JobStore, found_keys: Sequence[str]) -> list[_Read]:
    return [_read(store, key) for key in found_keys]


def _read(store: JobStore, key: str) -> _Read:
    try:
        return commits.read_with_payload(store, key)
    except CorruptBlob as error:
        return error
