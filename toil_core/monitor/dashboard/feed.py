"""What a dashboard shows, read from the job store while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from toil_core.errors import NoSuchKey, ToilError
from toil_core.job_store import HasPaths, JobStore
from toil_core.leader import epoch
from toil_core.monitor import history
from toil_core.monitor.glance import glance, newest_page
from toil_core.monitor.report.model import build, outcome
from toil_core.monitor.status import Status, examine_graph
from toil_core.wire import keys
from toil_core.wire.bounded import watched

NEAR, FAR = 1.0, 5.0
"""Seconds between two looks at a store of files, and at one that answers over a network."""
DETAILED = 200_000
"""Workflows of more jobs than that are shown without what needs every attempt: reading these again and again would take too long."""
_STATUS_SHARE, _DETAILS_SHARE = 5, 20
"""What took long to make is made anew only after so many times that long."""
_SURE = 2.0
"""So many seconds after a change is seen, all is read once more: what came in the same tick of the file system's clock leaves no other trace."""


class Feed:
    """The newest state of a workflow, for any number of lookers; nothing is read while there is none.

    Events are `status` (how far it is), `details` (a report of what ended so far) and `trouble` (why nothing can be read).

    Args:
        store: The job store.
        locator: What the user calls it.
        interval: Seconds between two looks; None for what suits the store.
    """

    def __init__(self, store: JobStore, locator: str, interval: float | None = None) -> None:
        self._store = watched(store, 10.0)
        self._paths = store if isinstance(store, HasPaths) else None
        self._locator = locator
        self._interval = interval if interval is not None else NEAR if self._paths else FAR
        self._changed = threading.Condition()
        self._lookers = 0
        self._reader: threading.Thread | None = None
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._version = 0

    @contextmanager
    def looking(self) -> Iterator[Looker]:
        """Be told what is new until the block ends."""
        with self._changed:
            self._lookers += 1
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="toil-dashboard", daemon=True)
                self._reader.start()
        try:
            yield Looker(self)
        finally:
            with self._changed:
                self._lookers -= 1
                self._changed.notify_all()

    @property
    def at_work(self) -> bool:
        """Whether the store is being read."""
        with self._changed:
            return self._reader is not None

    def newer(self, seen: Mapping[str, int], seconds: float) -> list[tuple[str, int, bytes]]:
        """Event, version and data of what is newer than what was seen; empty when the seconds pass without any."""

        def found() -> list[tuple[str, int, bytes]]:
            return [(event, version, data) for event, (version, data) in self._newest.items() if version > seen.get(event, 0)]

        with self._changed:
            self._changed.wait_for(found, seconds)
            return found()

    def _tell(self, event: str, data: bytes) -> None:
        with self._changed:
            if event in self._newest and self._newest[event][1] == data:
                return
            self._version += 1
            self._newest[event] = (self._version, data)
            self._changed.notify_all()

    # The thread that reads

    def _read(self) -> None:
        look = _Look(self._store, self._paths, self._locator)
        while True:
            try:
                for event, data in look.news():
                    self._tell(event, data)
                self._tell("trouble", b'""')
            except (ToilError, OSError) as error:
                look.forget()
                self._tell("trouble", msgspec.json.encode(str(error)))
            with self._changed:
                self._changed.wait_for(lambda: not self._lookers, self._interval)
                if not self._lookers:
                    self._reader = None
                    return


class Looker:
    """One who looks at a feed.

    Args:
        feed: The feed.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen: dict[str, int] = {}

    def news(self, seconds: float) -> list[tuple[str, bytes]]:
        """What is new since the last call, the newest of each event; empty when the seconds pass without any."""
        found = sorted(self._feed.newer(self._seen, seconds), key=lambda item: item[1])
        self._seen.update((event, version) for event, version, _ in found)
        return [(event, data) for event, _, data in found]


class _Look:
    """Reads a store again and again, as little of it as will do."""

    def __init__(self, store: JobStore, paths: HasPaths | None, locator: str) -> None:
        self._store = store
        self._paths = paths
        self._locator = locator
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._mark: object = None
        self._changed_at = self._read_at = 0.0
        self._status_due = self._details_due = 0.0
        self._stale = True

    def news(self) -> Iterator[tuple[str, bytes]]:
        """Read what changed."""
        now = time.monotonic()
        if now >= self._status_due and self._differs(now):
            status = glance(self._store, self._locator)
            self._read_at, self._stale = now, status.total <= DETAILED
            self._status_due = _STATUS_SHARE * (time.monotonic() - now) + now
            if outcome(status) not in ("running", "unknown"):  # the last look; nothing newer will come to excuse what is old
                self._details_due = 0.0
            yield "status", encoded(status, running(self._store, status))
        if self._stale and now >= self._details_due:
            began = time.monotonic()
            yield "details", self._details()
            self._stale = False
            self._details_due = began + _DETAILS_SHARE * (time.monotonic() - began)

    def _differs(self, now: float) -> bool:
        """Whether anything happened since the last reading, or that may have come too early to find what happened before it."""
        mark = self._marks()
        if mark != self._mark:
            self._mark, self._changed_at = mark, now
            return True
        return self._paths is not None and self._read_at < self._changed_at + _SURE <= now

    def _details(self) -> bytes:
        status, graph, found = examine_graph(self._store, self._locator)
        damaged: list[str] = []
        return msgspec.json.encode(build(status, history.of(self._store, graph, found, damaged), graph, damaged=damaged))

    def _marks(self) -> object:
        """Something that differs when anything happened."""
        last = epoch.last_epoch(self._store)
        info = None
        with suppress(NoSuchKey):
            info = epoch.leader_info(self._store, last) if last else None
        alive = epoch.alive(info) if info else None
        if self._paths:
            path = self._paths.path
            commits, checkpoints = path(keys.commit(keys.ROOT, 0)).parent, path(keys.checkpoint(1, 0)).parent
            return last, alive, *map(_stamp, (path(keys.page(last)), path(keys.WORKFLOW), commits, checkpoints))
        try:
            with self._store.read(keys.page(last)) as stream:
                return last, alive, stream.read()
        except NoSuchKey:
            return last, alive, tuple(blob.key for blob in self._store.list(keys.COMMITS))


def _stamp(path: Path) -> tuple[int, ...]:
    """What differs when the file was replaced, or something was added to the folder."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_nlink


def running(store: JobStore, status: Status) -> dict[str, int]:
    """How many jobs of each name ran when a leader at work told of itself; some may have ended, and others begun, since then."""
    told = newest_page(store, status.leader.epoch) if status.as_of and status.leader.state in ("running", "unknown") else None
    return {} if told is None or told.outcome else {kind.name: kind.running for kind in told.kinds if kind.running}


def encoded(status: Status, running: Mapping[str, int]) -> bytes:
    """The status as a dashboard takes it in.

    Args:
        status: How far the workflow is.
        running: How many jobs of each name ran when the leader told of itself.
    """
    return msgspec.json.encode({**msgspec.structs.asdict(status), "outcome": outcome(status), "now": time.time(), "told": running, "detailed": status.total <= DETAILED})


def log_tail(store: JobStore, job: str, execution: str, most: int) -> tuple[bytes, int]:
    """The end of an attempt's log, and how long the log is.

    Args:
        store: The job store.
        job: The job's id.
        execution: The execution of the attempt's request; see `toil_core.wire.keys.execution`.
        most: Bytes.

    Raises:
        StoreError: There is none.
    """
    key = keys.log(job, execution)
    size = store.stat(key).size
    with store.read(key, max(0, size - most)) as stream:
        return stream.read(most), size

