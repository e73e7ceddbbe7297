"""A worker that no batch system would end finds out by itself that its leader is gone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from toil_core.errors import NoSuchJobStore, NoSuchKey, ToilError
from toil_core.job_store import JobStore
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.work import Work


def wait(ended: threading.Event, work: Work, config: Config, end: Callable[[], object]) -> None:
    """Wait for the work's end, and bring it about when its leader is gone.

    The leader is gone when another has taken over, when `toil kill` asked for its end, or when its
    lease has not changed for as long as the option `leader_lease` says, by this machine's own clock. So it is when the job
    store has not been there for so long: nobody would learn of the work's end.
    The first look comes after the option `kill_check_interval`, so short work costs nothing.

    Args:
        ended: Set when the work has ended.
        work: The work.
        config: The run's options, as far as they are known yet.
        end: Called once when the leader is gone; `ended` is to be set after it.
    """
    options = config[WatchOptions]
    watch: LeaderWatch | None = None
    away = 0.0
    while not ended.wait(_interval(options)):
        try:
            if watch is None:
                from toil_core.worker.stores import open_with_setup

                store, setup = open_with_setup(work.store, work.setup, config)
                watch = LeaderWatch(store, keys.request_order(work.request)[0], work.setup)
                if setup.options:
                    options = Config.from_dict(setup.options)[WatchOptions]
            reason, away = watch.gone(options.leader_lease, time.monotonic()), 0.0
        except (NoSuchJobStore, NoSuchKey):  # or without what was read from it before
            away = away or time.monotonic()
            missed = time.monotonic() - away
            reason = f"the job store {work.store} was not there for {missed:.0f} s" if 0 < options.leader_lease <= missed else ""
        except ToilError:  # a store that cannot be reached tells nothing about the leader
            continue
        if reason:
            with suppress(OSError):  # whoever read it may be gone with the leader
                print(f"toil worker: {reason}; this worker ends", file=sys.stderr)
            end()
            ended.wait()
            break
    if watch is not None:
        watch.close()


class LeaderWatch:
    """Looks for signs of a leader.

    Args:
        store: The job store.
        epoch: The leader's epoch.
        setup: The key of what workers must know about the workflow in that epoch.
    """

    def __init__(self, store: JobStore, epoch: int, setup: str) -> None:
        self._store = store
        self._setup = setup
        self._epoch = epoch
        self._lease: bytes | None = None
        self._changed = 0.0

    def gone(self, lease: float, now: float) -> str:
        """Why the leader is known to be gone; empty when it is not.

        Args:
            lease: Seconds for which it may be silent; 0 for any time.
            now: Seconds of any clock that does not go back.

        Raises:
            NoSuchKey: The store has not even what it had when the work began.
            ToilError: The store does not tell.
        """
        if self._there(keys.leader(self._epoch + 1)):
            return "another leader has taken over"
        if self._there(keys.kill(self._epoch)):
            return "the run was ended by `toil kill`"
        beat = self._beat()
        if beat is not None and beat != self._lease:
            self._lease, self._changed = beat, now
        if beat is None and self._lease is None:  # a store that was removed looks like that too
            self._store.stat(self._setup)
        if lease and self._lease is not None and now - self._changed >= lease:
            return f"nothing was heard from the leader for {now - self._changed:.0f} s"
        return ""

    def close(self) -> None:
        """Let go of the store."""
        with suppress(ToilError):
            self._store.close()

    def _there(self, key: str) -> bool:
        try:
            self._store.stat(key)
        except NoSuchKey:
            return False
        return True

    def _beat(self) -> bytes | None:
        try:
            with self._store.read(keys.lease(self._epoch)) as stream:
                return stream.read()
        except NoSuchKey:  # this batch system ends workers by itself
            return None


def _interval(options: WatchOptions) -> float | None:
    """Seconds between two looks; None for none."""
    return options.kill_check_interval or options.leader_lease / 4 or None
