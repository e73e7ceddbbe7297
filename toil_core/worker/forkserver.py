"""The fork server: a small warm process with the user's modules loaded, from which all attempts descend.

It is started by a worker host and has one thread. It forks slots, which fork the attempts;
itself it watches limits, ends what is cancelled, and when its host is gone ends with
everything below it. The pages of this process are what every attempt inherits, so it imports
and keeps little.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from toil_core.errors import UsageError
from toil_core.worker import folders, messages, procfs
from toil_core.worker.messages import Interrupt, Kill, Lost, Open, Outline, Ready
from toil_core.worker.modules import explain, load
from toil_core.worker.notes import Notes, new_page
from toil_core.worker.slot import Slot, Surroundings

_CANCELLED, _OVER_TIME, _OUT_OF_MEMORY = 1, 2, 3
_FIRST_LOOK = 0.05
_NEXT_LOOK = 0.1
_SOON = 0.005
_FIRST_WEIGHING = 1.0
_MOST_WEIGHED = 5000
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class SlotProcess:
    """The fork server's hold on one slot.

    Args:
        pid: The slot's process.
        commands: The way to it: a pipe's file descriptor.
        notes: Its part of the shared page.
    """

    __slots__ = ("batch", "commands", "death", "given", "interrupted", "notes", "pid", "weigh_at", "weighed")

    def __init__(self, pid: int, commands: int, notes: Notes) -> None:
        self.pid = pid
        self.commands = commands
        self.notes = notes
        self.death = os.pidfd_open(pid)
        self.batch: Outline | None = None
        self.given = notes.ended
        self.interrupted = False
        """Whether its attempt is to get SIGTERM."""
        self.weighed = 0
        """The attempt's process whose folder is looked at."""
        self.weigh_at = 0.0
        """At which age of it the folder is looked at next."""

    @property
    def over(self) -> bool:
        """Whether every batch that it was given has ended."""
        return self.given == self.notes.ended


class ForkServer:
    """Forks slots, hands them batches, and watches over their attempts.

    Args:
        libc: The C library.
        around: What all slots share.
    """

    def __init__(self, libc: Any, around: Surroundings) -> None:
        self._libc = libc
        self._around = around
        self._slots: dict[int, SlotProcess] = {}
        self._page = new_page()
        self._look_at: float | None = None
        self._poll = select.poll()

    def serve(self) -> None:
        """Work until the host is gone."""
        host = self._around.host
        self._poll.register(host, select.POLLIN)
        while True:
            for fd, _ in self._poll.poll(self._patience()):
                if fd != host:
                    self._bury(fd)
                elif not self._command():
                    return
            if self._look_at is not None and time.monotonic() >= self._look_at:
                self._look()

    def _patience(self) -> float | None:
        return None if self._look_at is None else max(0.0, (self._look_at - time.monotonic()) * 1000 + 1)

    def _command(self) -> bool:
        data = os.read(self._around.host, messages.LARGEST)
        if not data:
            return False
        message = messages.unpack(data)
        command = messages.to_server.decode(message)
        if isinstance(command, Outline):
            self._begin(command, message)
        elif isinstance(command, Kill):
            self._kill(command.work)
        elif isinstance(command, Interrupt):
            self._interrupt(command.work)
        return True

    def _begin(self, batch: Outline, message: memoryview | bytes) -> None:
        slot = self._slots.get(batch.slot) or self._fork(batch.slot)
        slot.batch = batch
        slot.interrupted = False
        slot.given += 1
        with suppress(BrokenPipeError):  # it was just ended from outside, and is buried next
            messages.put(slot.commands, message)
        limits = [batch.kinds[spec.kind].requirement.wall_time for spec in batch.specs]
        self._look_within(min([_FIRST_LOOK, *(limit for limit in limits if limit is not None)]))

    def _fork(self, number: int) -> SlotProcess:
        commands, ours = os.pipe()
        notes = Notes(self._page, number)
        pid = os.fork()
        if not pid:
            try:
                os.close(ours)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                self._libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
                Slot(number, notes, self._around).serve(commands)
            except BaseException:  # noqa: BLE001 - nothing may leave this process
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        os.close(commands)
        slot = self._slots[number] = SlotProcess(pid, ours, notes)
        self._poll.register(slot.death, select.POLLIN)
        return slot

    def _bury(self, death: int) -> None:
        """A slot is dead, which only happens to it from outside: end what it leaves, and tell the host."""
        number, slot = next((number, slot) for number, slot in self._slots.items() if slot.death == death)
        self._poll.unregister(death)
        os.close(death)
        os.close(slot.commands)
        del self._slots[number]
        os.wait4(slot.pid, 0)
        slots = {other.pid for other in self._slots.values()}
        while orphans := [pid for pid in procfs.children(os.getpid()) if pid not in slots]:
            for orphan in orphans:
                for each in procfs.family(orphan):
                    procfs.kill(each)
            for orphan in orphans:
                os.wait4(orphan, 0)
        slot.notes.forked(0, 0)
        from toil_core.worker.deferred import set_aside

        opened = self._around.opened
        left = set_aside(opened.run, opened.folder, number)  # before another slot has that number
        if slot.batch is not None and not slot.over:
            os.write(self._around.host, messages.encode(Lost(slot.batch.work, left)))

    def _kill(self, work: int) -> None:
        for slot in self._slots.values():
            if slot.batch is not None and slot.batch.work == work:
                slot.notes.cancel(work)
                self._look_within(0.0)

    def _interrupt(self, work: int) -> None:
        for slot in self._slots.values():
            if slot.batch is not None and slot.batch.work == work:
                slot.interrupted = True
                self._look_within(0.0)

    # Limits

    def _look_within(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        if self._look_at is None or at < self._look_at:
            self._look_at = at

    def _look(self) -> None:
        """See to every busy slot, and decide when to look again."""
        self._look_at = None
        for slot in self._slots.values():
            if slot.batch is not None and not slot.over:
                self._look_at_slot(slot, slot.batch)

    def _look_at_slot(self, slot: SlotProcess, batch: Outline) -> None:
        notes = slot.notes
        pid, started = notes.running()
        if notes.cancelled(batch.work):
            if pid:
                self._stop(slot, pid, _CANCELLED)
            self._look_within(_SOON)  # it may just have been between two attempts
            return
        if slot.interrupted:
            if not pid:  # it is about to be there
                self._look_within(_SOON)
                return
            slot.interrupted = False
            _terminate(pid)
        self._look_within(_NEXT_LOOK)
        if not pid:
            return
        age = (time.monotonic_ns() - started) / 1e9
        wall, memory = _limits(batch, notes.index)
        if wall is not None and age >= wall:
            self._stop(slot, pid, _OVER_TIME)
            return
        if wall is not None:
            self._look_within(wall - age)
        if age >= _FIRST_LOOK:
            self._look_at_memory(slot, pid, memory)
            self._look_at_disk(slot, batch, pid, age)

    def _look_at_disk(self, slot: SlotProcess, batch: Outline, pid: int, age: float) -> None:
        """Weigh the attempt's folder now and then, so rarely that it costs next to nothing."""
        if slot.weighed != pid:
            slot.weighed, slot.weigh_at = pid, _FIRST_WEIGHING
        if age >= slot.weigh_at:
            began = time.monotonic()
            slot.notes.disk_peak(folders.size(f"{self._around.opened.folder}/{batch.slot}/tmp", _MOST_WEIGHED))
            slot.weigh_at = age + max(_FIRST_WEIGHING, 100 * (time.monotonic() - began))

    def _look_at_memory(self, slot: SlotProcess, pid: int, memory: int) -> None:
        members = procfs.family(slot.pid)[1:]
        baseline = self._around.baseline
        used = sum(map(procfs.resident, members)) - baseline
        allowed = memory * (1 + self._around.opened.tolerance)
        if memory and used > allowed:
            if len(members) > 1:  # what they share counts once
                used = sum(map(procfs.proportional, members))
            if used > allowed:
                self._stop(slot, pid, _OUT_OF_MEMORY)
        slot.notes.peak(used)

    def _stop(self, slot: SlotProcess, pid: int, verdict: int) -> None:
        slot.notes.judge(pid, verdict)
        members = procfs.family(slot.pid)[1:]
        if slot.notes.running()[0] != pid:  # it has just ended by itself, and what runs now may be the next attempt
            return
        for each in members:
            procfs.kill(each)


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:  # it has just ended
        pass


def _limits(batch: Outline, index: int) -> tuple[float | None, int]:
    """Seconds and bytes that the task may use; those of a process that it shares are the batch's."""
    if not batch.isolated:
        needed = batch.kinds[batch.specs[0].kind].requirement
        return (None if needed.wall_time is None else needed.wall_time * len(batch.specs)), needed.memory
    for spec in batch.specs:
        if spec.index == index:
            needed = batch.kinds[spec.kind].requirement
            return needed.wall_time, needed.memory
    return None, 0


def main(fd: int) -> None:
    """Serve the host at the other end of the socket until it is gone.

    Args:
        fd: The socket.
    """
    libc = ctypes.CDLL(None)
    signal.signal(signal.SIGTERM, _exit)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.environ.get("LD_BIND_NOW") == "toil":  # meant for this process alone
        del os.environ["LD_BIND_NOW"]
    import faulthandler
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    faulthandler.enable()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.set_inheritable(fd, False)
    opened = _receive(fd)
    if opened is None:
        return
    try:
        runner = load(opened.setup)
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything
        if folders.host_exits(Path(opened.run)):
            _leave(opened)
            return
        import traceback

        trace = (
            "" if isinstance(error, UsageError) else traceback.format_exc()[-32768:]
        )  # where the engine saw the user's mistake helps nobody
        os.write(fd, messages.encode(Ready(explain(error, opened.setup), trace)))
        return
    try:
        try:
            gc.collect()
            gc.freeze()
            gc.disable()
            libc.malloc_trim(0)
            os.write(fd, messages.encode(Ready()))
            ForkServer(libc, Surroundings(opened, runner, fd, procfs.resident(os.getpid()))).serve()
        except (BrokenPipeError, ConnectionResetError):  # the host is gone
            pass
        finally:
            _leave(opened)
    except SystemExit:  # the signal may have come while leaving
        _leave(opened)


def _receive(sock: int) -> Open | None:
    data = os.read(sock, messages.LARGEST)
    if not data:
        return None
    opened = messages.to_server.decode(messages.unpack(data))
    assert isinstance(opened, Open)
    return opened


def _exit(_signal_number: int, _frame: object) -> None:
    sys.exit()


def _leave(opened: Open) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    procfs.end_all(opened.folder)
    folders.remove(opened.folder)
    folders.sweep_after(Path(opened.run))
