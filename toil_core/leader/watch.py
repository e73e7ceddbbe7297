"""What a leader does for others: it keeps its page, looks for a request to end, and shows that it lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from io import BytesIO

from toil_core.batch_system import Requirement
from toil_core.errors import LeaderReplaced, NoSuchKey, ToilError
from toil_core.job_store import HasPace, JobStore
from toil_core.leader import page
from toil_core.leader.graph import Graph
from toil_core.leader.watch_options import WatchOptions
from toil_core.wire import keys

_log = logging.getLogger("toil.leader")
IDLE_CHECK = 600.0
"""So many seconds are at most between two looks for a request to end, where looking costs money and nothing happens."""


class Watch:
    """Tells and hears through the job store. What fails here is tried again at the next turn, and never ends a run.

    Args:
        store: The job store, without patience: a turn must not hold the leader up.
        epoch: The leader's epoch.
        options: How often.
        capacity: The largest request that the batch system can run; None when unknown.
        slots: How many cores it has; None when unknown.
        misfits: Tells for each request that fits none of the present machines why; see `HasMisfits`.
        lease: Whether workers need a sign that the leader lives.
        now: Tells the time in seconds since 1970.

    Attributes:
        killed: Whether somebody asked this leader to end.
    """

    def __init__(
        self,
        store: JobStore,
        epoch: int,
        options: WatchOptions,
        capacity: Requirement | None = None,
        slots: float | None = None,
        misfits: Callable[[], Mapping[str, str]] = dict,
        *,
        lease: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._epoch = epoch
        self._interval = options.status_interval
        self._capacity, self._slots, self._misfits = capacity, slots, misfits
        self._page_at: float | None = None
        self._written = 0.0
        self._check = self._next_check = options.kill_check_interval
        self._check_at = now() + self._check if self._check else None
        self._costly = isinstance(store, HasPace)
        self._lease = options.leader_lease / 4 if lease else 0.0
        self._lease_at = 0.0 if self._lease else None
        self._beats = 0
        self.killed = False

    @property
    def at(self) -> float | None:
        """When the next turn is, in seconds since 1970; None for none."""
        return min((at for at in (self._page_at, self._check_at, self._lease_at) if at is not None), default=None)

    def changed(self) -> None:
        """Something happened that the page should tell."""
        self._next_check = self._check
        if self._page_at is None:
            self._page_at = self._written + self._interval

    def resized(self, slots: float) -> None:
        """The batch system has that many cores now."""
        self._slots = slots
        self.changed()

    def turn(self, graph: Graph, now: float) -> bool:
        """Do what is due.

        Args:
            graph: The graph as it is.
            now: Seconds since 1970.

        Returns:
            Whether the leader has just been asked to end.

        Raises:
            LeaderReplaced: Another leader has taken over.
        """
        if self._page_at is not None and now >= self._page_at:
            self.write(graph, now)
        if self._lease_at is not None and now >= self._lease_at:
            self._lease_at = now + self._lease
            self._beat()
        if self._check_at is None or now < self._check_at:
            return False
        self._check_at = now + self._next_check
        if self._costly:  # as long as nothing happens, ask less and less
            self._next_check = max(self._check, min(2 * self._next_check, IDLE_CHECK))
        if self._there(keys.leader(self._epoch + 1)):
            raise LeaderReplaced("another leader has taken this workflow over; this one stops")
        if self.killed or not self._there(keys.kill(self._epoch)):
            return False
        self.killed = True
        _log.warning("`toil kill` asked this leader to end")
        return True

    def write(self, graph: Graph, now: float, outcome: str = "") -> None:
        """Write the page.

        Args:
            graph: The graph as it is.
            now: Seconds since 1970.
            outcome: How the run ended; empty while it goes on.
        """
        self._page_at, self._written = None, now
        data = page.encode(page.of(graph, now, outcome, self._capacity, self._slots, self._misfits()))
        try:
            self._store.write(keys.page(self._epoch), BytesIO(data))
        except ToilError as error:
            _log.debug("the page for others could not be written: %s", error)
            self._page_at = None if outcome else now + max(self._interval, 1.0)

    def _beat(self) -> None:
        self._beats += 1
        try:
            self._store.write(keys.lease(self._epoch), BytesIO(str(self._beats).encode()))
        except ToilError as error:
            _log.warning("workers could not be shown that the leader lives: %s", error)

    def _there(self, key: str) -> bool:
        try:
            self._store.stat(key)
        except NoSuchKey:
            return False
        except ToilError as error:
            _log.debug("the job store did not say whether %s is there: %s", key, error)
            return False
        return True
