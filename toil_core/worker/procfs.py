"""What the kernel tells of processes, and ending all that belong to a host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

PAGE = os.sysconf("SC_PAGE_SIZE")
_EXITING = 0x4
"""The kernel's flag of a process that is on its way out (PF_EXITING)."""
_KILLED = 1 << (signal.SIGKILL - 1)
"""That signal among those that a thread has yet to take."""
_FLAGS, _START_CODE, _PENDING, _ENV_END = 6, 23, 28, 48
"""Where a process's flags, the start of its program, its pending signals and the end of its variables are told among what follows its name (proc(5))."""
_LOOKS = 10_000
"""How often a process is looked at that is about to show its variables; a program is loaded within a few looks."""
MARK = "TOIL_RUN_FOLDER"
"""The variable that every process below a fork server carries in its environment."""


def children(pid: int) -> list[int]:
    """The children of a process, of all its threads; empty when it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except FileNotFoundError:
        pass
    return found


def open_children() -> int:
    """A file that is empty as long as this process, which has one thread, has no children; -1 where there is none such."""
    try:
        return os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def resident(pid: int) -> int:
    """Bytes of memory that the process has in use, shared ones included; 0 when it is gone."""
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE if fields else 0


def proportional(pid: int) -> int:
    """Bytes of memory in use, where shared ones are divided among the sharers; costs a walk of its memory."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return resident(pid)


def start_time(pid: int) -> str:
    """When the process started, in ticks since the machine did; empty when it has ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    return fields[19].decode() if len(fields) > 19 and fields[0] != b"Z" else ""


def exiting(pid: int) -> bool:
    """Whether the process has ended or is about to: one that was killed closes its files some time before it counts as ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    if len(fields) <= _PENDING or fields[0] in (b"Z", b"X"):
        return True
    return bool(int(fields[_FLAGS]) & _EXITING or int(fields[_PENDING]) & _KILLED)  # its other threads may be gone before its first one begins to end


def out_of_memory_kills() -> int:
    """How often the kernel has ended a process of this machine for lack of memory."""
    for line in _read("/proc/vmstat").splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


def threads() -> int:
    """How many threads this process has, Python's or not."""
    return len(os.listdir("/proc/self/task"))


def kill(pid: int) -> None:
    """End the process and its process group, when it leads one."""
    for end in (os.killpg, os.kill):
        try:
            end(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def belonging(folder: str, mark: str = MARK) -> Iterator[int]:
    """Every process, but this one, that was started with this folder, or one in it, in a variable.

    Args:
        folder: The folder.
        mark: The variable; that of fork servers if not given.
    """
    wanted = os.fsencode(f"{mark}={folder}")
    me = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != me:
            _, found, rest = _environment(int(name)).partition(wanted)
            if found and rest[:1] in (b"\0", b"/"):
                yield int(name)


def _environment(pid: int) -> bytes:
    """The variables that a process was started with; while it loads another program it has none to show, and is asked again."""
    for _ in range(_LOOKS):
        found = _read(f"/proc/{pid}/environ")
        if found or not _will_show(pid):
            return found
        os.sched_yield()
    return b""


def _will_show(pid: int) -> bool:
    """Whether a process that showed no variables has some or is yet to get them, and we may see them."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    if len(fields) <= _ENV_END or _read(f"/proc/{pid}/statm")[:2] in (b"", b"0 "):
        return False
    loading = fields[_START_CODE] == b"0"
    return (loading or fields[_ENV_END] != fields[_ENV_END - 1]) and _readable(f"/proc/{pid}/environ")


def _readable(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def end_all(folder: str, mark: str = MARK) -> None:
    """End every process that belongs to the folder, and those they start meanwhile."""
    for _ in range(100):
        found = [pid for pid in belonging(folder, mark) if not _zombie(pid)]
        if not found:
            return
        for pid in found:
            kill(pid)
        for pid in found:
            await_end(pid)


def _zombie(pid: int) -> bool:
    return _read(f"/proc/{pid}/stat").rpartition(b") ")[2][:1] in (b"Z", b"")


def await_end(pid: int, seconds: float = 5.0) -> None:
    """Wait until a process has ended, or the time is over."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(fd)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)
