"""Run a command and measure everything that it starts, to the last process.

The measuring process makes itself the reaper of orphans, so that daemons and workers whose
parents are gone come back to it, and adds up what the kernel says of each process that it
reaps. A process counts with all children that it waited for itself. What a process with
SIGCHLD ignored lets go by is not counted; none of the subjects does that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_LOOK = 0.02
_LOOK_EVERY = 0.25
_GRACE = 10.0


@dataclass(frozen=True)
class Measured:
    """What a command cost.

    Args:
        status: Its exit code; negative for a signal.
        wall: Seconds from its start to its end.
        settled: Seconds from its start until the last process that it left was gone.
        cpu: Processor seconds, user and system, of all its processes.
        memory: Bytes at the peak: all processes together with shared pages counted once, as
            looked at some times a second, or the largest single process when that is more.
        ended: How many processes had to be killed because they outlived the command by
            ten seconds.
        out: What it printed.
        err: What it printed on its standard error.
    """

    status: int
    wall: float
    settled: float
    cpu: float
    memory: int
    ended: int
    out: str
    err: str


class TimedOut(Exception):
    """The command took longer than it may."""


def measure(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    limit: float,
    meanwhile: Callable[[int], None] | None = None,
) -> Measured:
    """Run the command to its end.

    Args:
        command: Absolute path of the program, and its arguments.
        cwd: Folder to run in; also keeps what the command prints.
        environment: All its environment variables.
        limit: Seconds that it may take.
        meanwhile: Called with the command's process id while it runs; to kill it, for example.

    Raises:
        TimedOut: It was ended after the limit.
    """
    out, err = cwd / "stdout", cwd / "stderr"
    with _reaping():
        began = time.monotonic()
        pid = _spawn(command, cwd, environment, out, err)
        tally, late, ended = _Tally(pid, began), False, 0
        try:
            if meanwhile is not None:
                meanwhile(pid)
            late = not tally.watch(until=began + limit, done=lambda: tally.status is not None)
            if not late:
                tally.watch(until=time.monotonic() + _GRACE, done=lambda: not tally.children)
        finally:
            ended = _end_all(tally)
        settled = time.monotonic() - began
    if late:
        raise TimedOut(f"{' '.join(command[:4])} … took longer than {limit:.0f} s")
    return Measured(
        tally.status or 0, tally.wall, settled, tally.cpu, max(tally.together, tally.largest), ended, _text(out), _text(err)
    )


def _spawn(command: Sequence[str], cwd: Path, environment: Mapping[str, str], out: Path, err: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(err), flags, 0o600),
    ]
    before = os.getcwd()
    os.chdir(cwd)
    try:
        return os.posix_spawn(command[0], list(command), dict(environment), file_actions=actions, setpgroup=0, setsigmask=[])
    finally:
        os.chdir(before)


@contextmanager
def _reaping() -> Iterator[None]:
    """Orphans come to this process, and the news of a child's end can be waited for."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    former = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


class _Tally:
    """Adds up the processes that have ended."""

    def __init__(self, pid: int, began: float) -> None:
        self.pid = pid
        self.began = began
        self.status: int | None = None
        self.wall = 0.0
        self.cpu = 0.0
        self.largest = 0
        self.together = 0
        self.children = True

    def watch(self, *, until: float, done: Callable[[], bool]) -> bool:
        """Reap and look until it is done; False when the time is over first."""
        look, gap = time.monotonic() + _FIRST_LOOK, _FIRST_LOOK
        self._reap()
        while not done():
            now = time.monotonic()
            if now >= until:
                return False
            if now >= look:
                self.together = max(self.together, memory_of(family(os.getpid())))
                gap = min(_LOOK_EVERY, 1.5 * gap)
                look = time.monotonic() + gap
            signal.sigtimedwait([signal.SIGCHLD], max(0.0, min(look, until) - time.monotonic()))
            self._reap()
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.children = False
                return
            if not pid:
                self.children = True
                return
            self.cpu += usage.ru_utime + usage.ru_stime
            self.largest = max(self.largest, usage.ru_maxrss * 1024)
            if pid == self.pid:
                self.wall = time.monotonic() - self.began
                self.status = os.waitstatus_to_exitcode(status)


def _end_all(tally: _Tally) -> int:
    ended: set[int] = set()
    while tally.children:
        for pid in family(os.getpid()):
            ended.add(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        tally.watch(until=time.monotonic() + 1.0, done=lambda: not tally.children)
    return len(ended)


def family(root: int) -> list[int]:
    """Every living process below a process."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            below.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found, level = [], [root]
    while level:
        level = [child for parent in level for child in below.get(parent, ())]
        found += level
    return found


def memory_of(pids: Sequence[int]) -> int:
    """Bytes that these processes hold together, each shared page counted once in all."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as lines:
                total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        except OSError:
            continue
    return total * 1024


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
