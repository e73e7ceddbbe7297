"""The `single_machine` batch system: jobs run on this machine, as many at a time as fit."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from toil_core.batch_system import BatchSystem, Reason, Request, Requirement, State, Update
from toil_core.drivers import machine
from toil_core.drivers.packing import Packing
from toil_core.drivers.single_machine_options import SingleMachineOptions
from toil_core.errors import BadOption
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.update_queue import UpdateQueue
from toil_core.wire.work import decode_work
from toil_core.worker.folders import sweep_all
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
            there.memory if options.local_memory is None else options.local_memory,
            there.disk if options.local_disk is None else options.local_disk,
            preemptible=True,
            accelerators=there.accelerators,
        )
        self._packing = Packing(total, options.scale)
        self._node = socket.gethostname()
        self._lock = threading.Lock()
        self._news = UpdateQueue()
        self._running: set[str] = set()
        self._host: WorkerHost | None = None

    def submit(self, requests: Sequence[Request]) -> None:
        with self._lock:
            for request in self._news.new(requests):
                refusal = self._packing.refusal(request.requirement)
                if refusal:
                    self._news.tell(Update(request.id, State.ENDED, Reason.TOO_BIG, message=refusal))
                else:
                    self._packing.add(request)
            self._start()

    def updates(self, seconds: float | None = None) -> list[Update]:
        return self._news.take(seconds)

    def cancel(self, ids: Iterable[str]) -> None:
        self._end(ids, lambda host, id: host.cancel(id))

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Ask requests to end in good order; see `CanInterrupt`."""
        self._end(ids, lambda host, id: host.interrupt(id, seconds))

    def close(self) -> None:
        with self._lock:
            self._news.close()
            host, self._host = self._host, None
        if host is not None:
            host.close()
        else:  # an earlier leader may have been killed when all was done but the sweeping
            sweep_all(self._root)

    def capacity(self) -> Requirement:
        """What this machine has, for one request."""
        return self._packing.total

    def slots(self) -> float:
        """How many cores there are."""
        return self._packing.total.cores

    def _end(self, ids: Iterable[str], end: Callable[[WorkerHost, str], None]) -> None:
        with self._lock:
            for id in ids:
                if id in self._running and self._host is not None:
                    end(self._host, id)
                elif self._packing.remove(id):
                    self._news.tell(Update(id, State.ENDED, Reason.CANCELLED))
            self._start()

    def _start(self) -> None:
        """Start what fits; the lock is held."""
        if self._news.closed:
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
                self._news.tell(Update(request.id, State.ENDED, Reason.FAILED, message=f"unreadable work: {error}"))
                continue
            self._running.add(request.id)
            self._host.start(work, request.requirement, environment)

    def _deliver(self, update: Update) -> None:
        with self._lock:
            self._news.tell(update)
            if update.state is State.ENDED:
                self._running.discard(update.id)
                self._packing.release(update.id)
                self._start()
