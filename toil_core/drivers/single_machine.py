"""The `single_machine` batch system: jobs run on this machine, as many at a time as fit."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from toil_core.batch_system import BatchSystem, Reason, Request, Requirement, State, Update
from toil_core.drivers import machine
from toil_core.drivers.packing import Packing
from toil_core.drivers.single_machine_options import SingleMachineOptions
from toil_core.errors import BadOption
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire.work import decode_work
from toil_core.worker.host import WorkerHost


class SingleMachine(BatchSystem):
    """Packs requests on this machine by cores, memory, disk and graphics processors.

    Args:
        config: The options.

    Raises:
        BadOption: The folder for temporary files cannot be used.
    """

    here = True

    def __init__(self, config: Config) -> None:
        options, engine = config[SingleMachineOptions], config[EngineOptions]
        self._config = config
        self._root = Path(engine.work_dir or os.environ.get("TMPDIR") or "/tmp")
        if not self._root.is_dir() or not os.access(self._root, os.W_OK | os.X_OK):
            raise BadOption(f"{self._root} is no folder that can be written to; choose one with --work-dir")
        there = machine.offer(self._root)
        total = Requirement(
            options.local_cores or there.cores,
            options.local_memory or there.memory,
            options.local_disk or there.disk,
            preemptible=True,
            accelerators=there.accelerators,
        )
        self._packing = Packing(total, options.scale)
        self._node = socket.gethostname()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._updates: deque[Update] = deque()
        self._seen: set[str] = set()
        self._running: set[str] = set()
        self._host: WorkerHost | None = None
        self._closed = False

    def submit(self, requests: Sequence[Request]) -> None:
        with self._lock:
            for request in requests:
                if request.id in self._seen or self._closed:
                    continue
                self._seen.add(request.id)
                refusal = self._packing.refusal(request.requirement)
                if refusal:
                    self._tell(Update(request.id, State.ENDED, Reason.TOO_BIG, message=refusal))
                else:
                    self._packing.add(request)
            self._start()

    def updates(self, seconds: float | None = None) -> list[Update]:
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            while not self._updates and not self._closed:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._news.wait(left)
            found = list(self._updates)
            self._updates.clear()
            return found

    def cancel(self, ids: Iterable[str]) -> None:
        with self._lock:
            for id in ids:
                if id in self._running and self._host is not None:
                    self._host.cancel(id)
                elif self._packing.remove(id):
                    self._tell(Update(id, State.ENDED, Reason.CANCELLED))
            self._start()

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Ask requests to end in good order; see `CanInterrupt`."""
        with self._lock:
            for id in ids:
                if id in self._running and self._host is not None:
                    self._host.interrupt(id, seconds)
                elif self._packing.remove(id):
                    self._tell(Update(id, State.ENDED, Reason.CANCELLED))
            self._start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            host, self._host = self._host, None
            self._news.notify_all()
        if host is not None:
            host.close()

    def capacity(self) -> Requirement:
        """What this machine has, for one request."""
        return self._packing.total

    def slots(self) -> float:
        """How many cores there are."""
        return self._packing.total.cores

    def _start(self) -> None:
        """Start what fits; the lock is held."""
        if self._closed:
            return
        for request, gpus in self._packing.start():
            if self._host is None:
                self._host = WorkerHost(self._root, self._deliver, self._config, node=self._node, live=True)
            environment = dict(request.environment)
            if request.requirement.accelerators:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus))
            try:
                work = decode_work(request.work)
            except msgspec.MsgspecError as error:
                self._packing.release(request.id)
                self._tell(Update(request.id, State.ENDED, Reason.FAILED, message=f"unreadable work: {error}"))
                continue
            self._running.add(request.id)
            self._host.start(work, request.requirement, environment)

    def _deliver(self, update: Update) -> None:
        with self._lock:
            self._tell(update)
            if update.state is State.ENDED:
                self._running.discard(update.id)
                self._packing.release(update.id)
                self._start()

    def _tell(self, update: Update) -> None:
        self._updates.append(update)
        self._news.notify()
