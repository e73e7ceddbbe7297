"""Jobs that run on the leader's machine while all others run elsewhere."""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from toil_core.batch_system import BatchSystem, Reason, Request, State, Update
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.update_queue import UpdateQueue
from toil_core.wire.work import decode_work
from toil_core.worker.folders import sweep_all
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
        self._lock = threading.Lock()
        self._news = UpdateQueue()
        self._waiting: deque[Request] = deque()
        self._running: set[str] = set()
        self._host: WorkerHost | None = None

    def submit(self, requests: Sequence[Request]) -> None:
        with self._lock:
            self._waiting.extend(self._news.new(requests))
            self._start()

    def updates(self, seconds: float | None = None) -> list[Update]:
        return self._news.take(seconds)

    def cancel(self, ids: Iterable[str]) -> None:
        self._end(set(ids), lambda host, id: host.cancel(id))

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Ask requests to end in good order; see `CanInterrupt`."""
        self._end(set(ids), lambda host, id: host.interrupt(id, seconds))

    def close(self) -> None:
        with self._lock:
            self._news.close()
            host, self._host = self._host, None
        if host is not None:
            host.close()
        else:  # an earlier leader may have been killed when all was done but the sweeping
            sweep_all(self._root)

    def _end(self, ids: set[str], end: Callable[[WorkerHost, str], None]) -> None:
        with self._lock:
            for id in ids & self._running:
                if self._host is not None:
                    end(self._host, id)
            for request in [request for request in self._waiting if request.id in ids]:
                self._waiting.remove(request)
                self._news.tell(Update(request.id, State.ENDED, Reason.CANCELLED))

    def _start(self) -> None:
        """Start what may start; the lock is held."""
        while self._waiting and len(self._running) < self._most and not self._news.closed:
            request = self._waiting.popleft()
            if self._host is None:
                self._host = WorkerHost(self._root, self._deliver, self._config, node=socket.gethostname(), live=True)
            self._running.add(request.id)
            self._host.start(decode_work(request.work), request.requirement, dict(request.environment))

    def _deliver(self, update: Update) -> None:
        with self._lock:
            self._news.tell(update)
            if update.state is State.ENDED:
                self._running.discard(update.id)
                self._start()
