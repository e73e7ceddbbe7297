"""The fork server: a small warm process with the user's modules loaded, from which every attempt is forked.

It is started by a worker host, has one thread, and ends with everything it started when its
host does. Pages that it touches cost every attempt time, so it imports and keeps little.
"""

from __future__ import annotations

import _signal
import ctypes
import gc
import mmap
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from typing import NoReturn

from toil_core.batch_system import Reason
from toil_core.worker import messages, procfs
from toil_core.worker.child import Child
from toil_core.worker.messages import Batch, Ended, Kill, Open, Ready, Spec
from toil_core.worker.modules import load
from toil_core.worker.runner import Runner
from toil_core.worker.slots import Slot

SLOTS = 8192
"""The most slots that a fork server has."""
_FIRST_LOOK = 0.05
_NEXT_LOOK = 0.1
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Attempt:
    """A forked process that runs."""

    __slots__ = ("batch", "limit", "memory", "peak", "pid", "slot", "spec", "started", "ticks", "verdict", "wall")

    def __init__(self, pid: int, batch: Batch, spec: Spec | None, slot: Slot, wall: float | None, memory: int) -> None:
        self.pid = pid
        self.batch = batch
        self.spec = spec
        self.slot = slot
        self.limit = wall
        self.memory = memory
        self.peak = 0
        self.started = time.time()
        self.ticks = time.monotonic()
        self.verdict: Reason | None = None
        self.wall = 0.0


class Ending:
    """An attempt whose first process has ended and whose stragglers are being ended."""

    __slots__ = ("attempt", "cpu", "memory", "read", "status", "written")

    def __init__(self, attempt: Attempt, status: int, cpu: float, memory: int, read: int, written: int) -> None:
        self.attempt = attempt
        self.status = status
        self.cpu = cpu
        self.memory = memory
        self.read = read
        self.written = written


class ForkServer:
    """Forks attempts, watches their limits, and tells how they ended.

    Args:
        sock: The way to the host.
        opened: What the host said first.
        runner: Runs one task in a forked process.
    """

    def __init__(self, sock: socket.socket, opened: Open, runner: Runner) -> None:
        self._sock = sock
        self._opened = opened
        self._runner = runner
        self._slots: dict[int, Slot] = {}
        self._queues: dict[int, deque[Spec]] = {}
        self._attempts: dict[int, Attempt] = {}
        self._draining: list[Ending] = []
        self._orphans: dict[int, set[int]] = {}
        self._page = mmap.mmap(-1, SLOTS * 8)
        self._notes = memoryview(self._page).cast("i")
        self._buffer = bytearray(messages.INLINE + 1024)
        self._look_at: float | None = None
        self._kills = procfs.out_of_memory_kills()
        self._cores = 0.0
        self._own_threads = [name for name in _THREAD_VARIABLES if name not in os.environ]
        self._baseline = procfs.resident(os.getpid())
        self._host = os.getppid()
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Work until the host is gone."""
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            for fd, _ in poll.poll(self._patience()):
                if fd == self._woken:
                    os.read(self._woken, 4096)
                elif not self._command():
                    return
            self._reap()
            if self._look_at is not None and time.monotonic() >= self._look_at:
                self._look()
            if os.getppid() != self._host:
                return

    def _patience(self) -> float | None:
        return None if self._look_at is None else max(0.0, (self._look_at - time.monotonic()) * 1000 + 1)

    def _command(self) -> bool:
        size = self._sock.recv_into(self._buffer)
        if not size:
            return False
        command = messages.to_server.decode(messages.unpack(memoryview(self._buffer)[:size]))
        if isinstance(command, Batch):
            self._begin(command)
        elif isinstance(command, Kill):
            self._kill(command.work)
        return True

    # Starting

    def _begin(self, batch: Batch) -> None:
        slot = self._slots.get(batch.slot)
        if slot is None:
            slot = self._slots[batch.slot] = Slot(self._opened.folder, batch.slot)
        if batch.cores != self._cores:
            self._cores = batch.cores
            for name in self._own_threads:
                os.environ[name] = str(max(1, int(batch.cores)))
        queue = self._queues[batch.slot] = deque(batch.specs)
        if batch.isolated:
            self._fork(batch, slot, queue.popleft())
        else:
            queue.clear()
            self._fork(batch, slot, None)

    def _fork(self, batch: Batch, slot: Slot, spec: Spec | None) -> None:
        place = 2 * slot.number
        self._notes[place] = -1 if spec is None else spec.index
        self._notes[place + 1] = 0
        needed = batch.kinds[batch.specs[0].kind if spec is None else spec.kind].requirement
        wall = needed.wall_time
        if wall is not None and spec is None:
            wall *= len(batch.specs)
        pid = os.fork()
        if not pid:
            self._be_child(batch, slot, spec)
        self._attempts[pid] = Attempt(pid, batch, spec, slot, wall, needed.memory)
        look = time.monotonic() + (_FIRST_LOOK if wall is None else min(wall, _FIRST_LOOK))
        if self._look_at is None or look < self._look_at:
            self._look_at = look

    def _be_child(self, batch: Batch, slot: Slot, spec: Spec | None) -> NoReturn:
        try:
            os.setpgid(0, 0)
            _signal.set_wakeup_fd(-1)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            os.dup2(slot.log_fd, 1)
            os.dup2(slot.log_fd, 2)
            os.chdir(slot.tmp)
            os.environ["TMPDIR"] = slot.tmp
            if batch.environment:
                os.environ.update(batch.environment)
            tempfile = sys.modules.get("tempfile")
            if tempfile is not None:
                tempfile.tempdir = None  # type: ignore[attr-defined]
            place, notes = 2 * slot.number, self._notes

            def note_task(index: int) -> None:
                notes[place] = index

            def note_store() -> None:
                notes[place + 1] = 1

            child = Child(self._opened, self._runner, self._sock, slot, note_task, note_store)
            if spec is None:
                child.shared(batch, self._opened.keep_logs)
            child.isolated(batch, spec)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    # Ending

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            attempt = self._attempts.pop(pid, None)
            if attempt is None:
                self._orphans.pop(pid, None)
                continue
            attempt.wall = time.monotonic() - attempt.ticks
            memory = max(attempt.peak, usage.ru_maxrss * 1024 - self._baseline, 0)
            cpu = usage.ru_utime + usage.ru_stime
            ending = Ending(attempt, status, cpu, memory, usage.ru_inblock * 512, usage.ru_oublock * 512)
            if _gone(pid, signal.SIGKILL) and not self._end_orphans(attempt):
                self._end(ending)
            else:
                self._draining.append(ending)
        if self._draining:
            waiting, self._draining = self._draining, []
            for ending in waiting:
                if _gone(ending.attempt.pid, 0) and not self._end_orphans(ending.attempt):
                    self._end(ending)
                else:
                    self._draining.append(ending)
        if not self._attempts:
            self._look_at = None

    def _end(self, ending: Ending) -> None:
        attempt = ending.attempt
        slot, spec, batch = attempt.slot, attempt.spec, attempt.batch
        place = 2 * slot.number
        verdict = attempt.verdict
        if verdict is None and ending.status == signal.SIGKILL:
            verdict = self._kernel_verdict()
        wanted = self._opened.keep_logs or ending.status != 0
        self._tell(
            Ended(
                batch.work,
                self._notes[place],
                ending.status,
                attempt.wall,
                ending.cpu,
                ending.memory,
                ending.read,
                ending.written,
                attempt.started,
                verdict,
                bool(self._notes[place + 1]),
                slot.take_log(wanted and (spec is not None or ending.status != 0)),
                slot.take_trash(),
            )
        )
        queue = self._queues[slot.number]
        if queue and spec is not None:
            self._fork(batch, slot, queue.popleft())

    def _kernel_verdict(self) -> Reason | None:
        kills, self._kills = self._kills, procfs.out_of_memory_kills()
        return Reason.OUT_OF_MEMORY if self._kills > kills else None

    def _kill(self, work: int) -> None:
        for attempt in self._attempts.values():
            if attempt.batch.work == work:
                self._queues[attempt.slot.number].clear()
                self._stop(attempt, Reason.CANCELLED)
        for ending in self._draining:
            if ending.attempt.batch.work == work:
                self._queues[ending.attempt.slot.number].clear()

    def _stop(self, attempt: Attempt, reason: Reason) -> None:
        if attempt.verdict is None:
            attempt.verdict = reason
        procfs.kill(attempt.pid)

    def _end_orphans(self, attempt: Attempt) -> bool:
        """End what left the attempt's process group and lost its parent; whether any of it is left.

        An orphan whose attempt cannot be told is ended when all that ran beside it have ended.
        """
        if attempt.wall < 0.005 and not self._orphans:
            return False
        running = {other.pid for other in self._attempts.values()}
        groups = {*running, *(ending.attempt.pid for ending in self._draining)}
        left = False
        for pid in procfs.children(os.getpid()):
            if pid in running or procfs.group(pid) in groups - {attempt.pid}:
                continue
            suspects = self._orphans.setdefault(pid, {*running, attempt.pid})
            suspects.discard(attempt.pid)
            suspects &= running
            if not suspects or procfs.lives_in(pid, attempt.slot.tmp):
                for each in procfs.family(pid):
                    procfs.kill(each)
                left = True
        return left

    # Limits

    def _look(self) -> None:
        now = time.monotonic()
        self._look_at = now + _NEXT_LOOK
        for attempt in self._attempts.values():
            age = now - attempt.ticks
            if attempt.limit is not None and age >= attempt.limit:
                self._stop(attempt, Reason.OVER_TIME)
            elif age >= _FIRST_LOOK:
                self._look_at_memory(attempt)
            if attempt.limit is not None and attempt.verdict is None:
                self._look_at = min(self._look_at, attempt.ticks + attempt.limit)

    def _look_at_memory(self, attempt: Attempt) -> None:
        members = procfs.family(attempt.pid)
        used = sum(map(procfs.resident, members)) - self._baseline
        allowed = attempt.memory * (1 + self._opened.tolerance)
        if attempt.memory and used > allowed:
            if len(members) > 1:
                used = sum(map(procfs.proportional, members)) - self._baseline
            if used > allowed:
                self._stop(attempt, Reason.OUT_OF_MEMORY)
        attempt.peak = max(attempt.peak, used)

    def _tell(self, message: Ended | Ready) -> None:
        self._sock.send(messages.encode(message))


def _gone(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return True
    except PermissionError:  # what is left belongs to someone else by now
        return True
    return False


def _nothing(_signal_number: int, _frame: object) -> None:
    """Only there so that the signal wakes the loop."""


def _receive(sock: socket.socket) -> Open:
    data = sock.recv(messages.INLINE + 1024)
    opened = messages.to_server.decode(messages.unpack(data))
    assert isinstance(opened, Open)
    return opened


def main(fd: int) -> None:
    """Serve the host at the other end of the socket until it is gone, then remove its folder.

    Args:
        fd: The socket.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGCHLD, 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    import faulthandler
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    faulthandler.enable()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sock = socket.socket(fileno=fd)
    try:
        opened = _receive(sock)
    except (OSError, ValueError):
        return
    try:
        runner = load(opened.setup)
    except BaseException as error:
        import traceback

        sock.send(messages.encode(Ready(f"{type(error).__name__}: {error}", traceback.format_exc()[-32768:])))
        return
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        server = ForkServer(sock, opened, runner)
        sock.send(messages.encode(Ready()))
        server.serve()
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        _leave(opened)


def _leave(opened: Open) -> None:
    from pathlib import Path

    from toil_core.worker import folders

    procfs.end_all(opened.folder)
    folders.remove(opened.folder)
    folders.sweep(Path(opened.run))
