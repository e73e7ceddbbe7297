"""Jobs that run on the leader's machine while all others run elsewhere."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from toil_core.batch_system import BatchSystem, Reason, Request, State, Update
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire.work import decode_work
from toil_core.worker.host import WorkerHost


class LocalJobs(BatchSystem):
    """Runs a few requests at a time beside the leader, whatever they ask for.

    Args:
        config: The options.
    """

    here = True

    def __init__(self, config: Config) -> None:
        options = config[EngineOptions]
        self._config = config
        self._root = Path(options.work_dir or os.environ.get("TMPDIR") or "/tmp")
        self._most = options.max_local_jobs or len(os.sched_getaffinity(0))
        self._news = threading.Condition()
        self._updates: deque[Update] = deque()
        self._seen: set[str] = set()
        self._waiting: deque[Request] = deque()
        self._running: set[str] = set()
        self._host: WorkerHost | None = None
        self._closed = False

    def submit(self, requests: Sequence[Request]) -> None:
        with self._news:
            for request in requests:
                if request.id not in self._seen and not self._closed:
                    self._seen.add(request.id)
                    self._waiting.append(request)
            self._start()

    def updates(self, seconds: float | None = None) -> list[Update]:
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._news:
            self._news.wait_for(lambda: self._updates or self._closed, None if deadline is None else max(0.0, deadline - time.monotonic()))
            found = list(self._updates)
            self._updates.clear()
            return found

    def cancel(self, ids: Iterable[str]) -> None:
        wanted = set(ids)
        with self._news:
            for id in wanted & self._running:
                if self._host is not None:
                    self._host.cancel(id)
            self._drop_waiting(wanted)

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Ask requests to end in good order; see `CanInterrupt`."""
        wanted = set(ids)
        with self._news:
            for id in wanted & self._running:
                if self._host is not None:
                    self._host.interrupt(id, seconds)
            self._drop_waiting(wanted)

    def close(self) -> None:
        with self._news:
            self._closed = True
            host, self._host = self._host, None
            self._news.notify_all()
        if host is not None:
            host.close()

    def _drop_waiting(self, ids: set[str]) -> None:
        for request in [request for request in self._waiting if request.id in ids]:
            self._waiting.remove(request)
            self._tell(Update(request.id, State.ENDED, Reason.CANCELLED))

    def _start(self) -> None:
        """Start what may start; the lock is held."""
        while self._waiting and len(self._running) < self._most and not self._closed:
            request = self._waiting.popleft()
            if self._host is None:
                self._host = WorkerHost(self._root, self._deliver, self._config, node=socket.gethostname(), live=True)
            self._running.add(request.id)
            self._host.start(decode_work(request.work), request.requirement, dict(request.environment))

    def _deliver(self, update: Update) -> None:
        with self._news:
            self._tell(update)
            if update.state is State.ENDED:
                self._running.discard(update.id)
                self._start()

    def _tell(self, update: Update) -> None:
        self._updates.append(update)
        self._news.notify_all()
