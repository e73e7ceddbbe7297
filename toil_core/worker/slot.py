"""A slot: a process, forked once from the fork server, that forks attempts one after another.

A forker pays for every page that it touches while its child lives. A slot sleeps until its
attempt has ended, so it pays least; all that needs attention meanwhile is the fork server's.
As every process that an attempt leaves behind becomes the slot's child, it finds them all.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from toil_core.batch_system import Reason
from toil_core.worker import procfs
from toil_core.worker.child import Child
from toil_core.worker.lean import fresh_pools
from toil_core.worker.messages import TOLD, Batch, Ended, Left, Open, Said, Spec, encode, take, to_slot
from toil_core.worker.notes import DEFERRED, STORE, Notes
from toil_core.worker.rehearsal import rehearse
from toil_core.worker.runner import Place, Runner
from toil_core.worker.slots import SlotFolder

VERDICTS = (None, Reason.CANCELLED, Reason.OVER_TIME, Reason.OUT_OF_MEMORY)
"""What a fork server may decide, by its number in the notes."""

WARNING = 30
"""The level of the logging module."""
_USER, _SYSTEM, _RESIDENT, _READ, _WRITTEN = 0, 1, 2, 9, 10
"""Places in what `wait4` tells of a process; names would be looked up."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Surroundings:
    """What all slots of a fork server share.

    Args:
        opened: What the host said first.
        runner: Runs one task.
        host: The way to the host: a file descriptor.
        baseline: Bytes of memory that a process has before it does anything.
    """

    opened: Open
    runner: Runner
    host: int
    baseline: int


class Slot:
    """Runs batches in this process's children.

    Args:
        number: Which slot.
        notes: Its part of the shared page.
        around: What all slots share.
    """

    def __init__(self, number: int, notes: Notes, around: Surroundings) -> None:
        self._notes = notes
        self._around = around
        self._keep_logs = around.opened.keep_logs
        self._host = around.host
        self._folder = SlotFolder(around.opened.folder, number)
        self._kills = procfs.out_of_memory_kills()
        self._own_threads = [name for name in _THREAD_VARIABLES if name not in os.environ]
        self._cores = 0.0
        self._warm = False
        self._children = procfs.open_children()
        os.environ["TMPDIR"] = self._folder.tmp
        tempfile = sys.modules.get("tempfile")
        if tempfile is not None:
            tempfile.tempdir = None  # type: ignore[attr-defined]
        self._told = os.memfd_create("told")
        self._filling = fresh_pools()
        rehearse(around.opened, around.runner, self._folder, notes, self._told)
        self._child = Child(around.opened, around.runner, self._host, self._folder, notes, self._told)
        gc.enable()  # for those who are forked from here

    def serve(self, commands: int) -> NoReturn:
        """Run the batches that come through the pipe until its other end is closed."""
        while message := take(commands):
            batch = to_slot.decode(message)
            gc.freeze()  # else a collection, in an attempt above all, would write to all that was made here
            self._run(batch)
        os._exit(0)

    def _run(self, batch: Batch) -> None:
        notes = self._notes
        if batch.cores != self._cores:
            self._cores = batch.cores
            for name in self._own_threads:
                os.environ[name] = str(max(1, int(batch.cores)))
        place = self._child.place(batch)
        for spec in batch.specs if batch.isolated else (None,):
            place.index = -1 if spec is None else spec.index
            if not notes.next(batch.work, place.index):
                os.write(self._host, encode(Left(batch.work)))
                break
            self._attempt(batch, spec, place)
        notes.end()

    def _attempt(self, batch: Batch, spec: Spec | None, place: Place) -> None:
        notes = self._notes
        isolated = self._child.isolated  # looked up here, as what the child looks up costs it copies
        started, began = time.time(), time.monotonic_ns()
        pid = os.fork()
        if not pid:
            if spec is None:
                self._child.shared(batch, self._keep_logs)
            isolated(batch, spec, place)
        notes.forked(pid, began)
        ended: Any = os.wait4(pid, 0)
        _, status, usage = ended
        wall = (time.monotonic_ns() - began) / 1e9
        index, did, number, peak, disk = notes.over(pid)
        if self._children < 0 or os.pread(self._children, 1, 0):  # it left something running, or that cannot be told so cheaply
            self._end_rest()
        is_told = bool(did & DEFERRED) and self._run_deferred(batch)
        told = os.pread(self._told, TOLD, 0)
        if told:
            os.ftruncate(self._told, 0)
        verdict = VERDICTS[number]
        if status and status == signal.SIGKILL and verdict is None:
            verdict = self._kernel_verdict()
        folder, log = self._folder, ""
        if os.lseek(folder.log_fd, 0, os.SEEK_END):  # it printed something; cheaper than all that `fstat` tells
            log = folder.take_log(status != 0 or is_told or (self._keep_logs and spec is not None))
        os.write(
            self._host,
            encode(
                Ended(
                    batch.work,
                    index,
                    status,
                    wall,
                    usage[_USER] + usage[_SYSTEM],
                    max(peak, usage[_RESIDENT] * 1024 - self._around.baseline, 0),
                    usage[_READ] * 512,
                    usage[_WRITTEN] * 512,
                    started,
                    verdict,
                    bool(did & STORE),
                    log,
                    folder.take_trash(),
                    disk,
                    told,
                )
            ),
        )
        if did & STORE and not self._warm:
            self._warm = True
            self._import_for_stores()
            gc.freeze()

    def _import_for_stores(self) -> None:
        """Import once what every attempt that uses the job store would import anew."""
        with suppress(Exception):  # an attempt tells it better
            from toil_core.worker import stores

            stores.warm(self._around.opened.store, self._around.opened.setup)

    def _enter(self, batch: Batch) -> None:
        os.setpgid(0, 0)
        os.environ.update(batch.environment)

    def _run_deferred(self, batch: Batch) -> bool:
        """Run what the attempt left to do, in its folder and with its log; whether that tells of something that went wrong."""
        from toil_core.worker import deferred

        opened = self._around.opened
        wrong = deferred.run_all(self._folder.deferred, deferred.seconds_of(opened.setup), lambda: self._enter(batch))
        for trouble in wrong:
            os.write(self._folder.log_fd, f"{trouble}\n".encode())
            if opened.live:
                os.write(self._host, encode(Said(batch.work, self._notes.index, WARNING, trouble)))
        self._end_rest()
        return bool(wrong)

    def _end_rest(self) -> None:
        """End whatever the attempt left running: all of it has become a child of this process, or lies below one."""
        me = os.getpid()
        while True:
            try:
                pid, _, _ = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid:
                continue
            for each in procfs.family(me)[1:]:
                procfs.kill(each)
            try:
                os.wait4(-1, 0)
            except ChildProcessError:
                return

    def _kernel_verdict(self) -> Reason | None:
        kills, self._kills = self._kills, procfs.out_of_memory_kills()
        return Reason.OUT_OF_MEMORY if self._kills > kills else None
