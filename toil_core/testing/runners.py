"""A small runner for tests of batch systems: what a task does is told by its body.

The body is JSON, `[action, argument…]`; `body` makes one. Nothing here waits by sleeping: what
has to last does so until a file appears or it is ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from toil_core.batch_system import Requirement
from toil_core.wire.jobs import Kind, NewJob, Result
from toil_core.wire.work import Task
from toil_core.worker.runner import Place

NAME = "toil_core.testing.runners:run"
"""For `Setup.runner`."""

_IN_CREATE_OR_MOVED_TO = 0x100 | 0x80

REHEARSAL = b'["nothing"]'
"""What is rehearsed."""


def body(action: str, *arguments: Any) -> bytes:
    """The body of a task that does this."""
    return json.dumps([action, *arguments]).encode()


def run(task: Task, kind: Kind, values: Mapping[str, bytes], place: Place) -> tuple[Result, bytes]:
    """Do what the body says."""
    assert isinstance(task.body, bytes)
    action, *arguments = json.loads(task.body)
    if action == "chain":
        return _chain(task, kind, values, *arguments)
    value = _ACTIONS[action](place, task, values, *arguments)
    data = b"" if value is None else value
    return Result(task.job, (0, len(data)), zlib.crc32(data)), data


def await_file(path: str | Path, seconds: float | None = None) -> None:
    """Return once the file is there.

    Args:
        path: The file; its folder is there already.
        seconds: How long to wait at the most; None for ever.

    Raises:
        TimeoutError: It is not there by then.
    """
    path = Path(path)
    deadline = None if seconds is None else monotonic() + seconds
    libc = ctypes.CDLL(None, use_errno=True)
    notices = libc.inotify_init1(os.O_CLOEXEC)
    try:
        if libc.inotify_add_watch(notices, os.fsencode(path.parent), _IN_CREATE_OR_MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path.parent))
        while not path.exists():
            if not _readable(notices, None if deadline is None else deadline - monotonic()):
                raise TimeoutError(f"there is still no {path}")
            os.read(notices, 65536)
    finally:
        if notices >= 0:
            os.close(notices)


def await_death(pid: int, seconds: float) -> None:
    """Return once the process is no more.

    Args:
        pid: The process.
        seconds: How long to wait at the most.

    Raises:
        TimeoutError: It still runs then.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not _readable(process, seconds):
            raise TimeoutError(f"process {pid} still runs: {_described(pid)}")
    finally:
        os.close(process)


def _described(pid: int) -> str:
    """A process's command line, its state, and where in the kernel each of its threads waits."""
    about = Path(f"/proc/{pid}")
    try:
        command = (about / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        (state,) = (line.split(maxsplit=1)[1] for line in (about / "status").read_text().splitlines() if line.startswith("State:"))
        waits = [(thread / "wchan").read_text() for thread in sorted((about / "task").iterdir(), key=lambda thread: int(thread.name))]
    except OSError as error:
        return f"nothing more is told of it ({error.strerror})"
    return f"{command or 'no command line'}; {state}; its threads wait in {', '.join(place if place.strip('0') else 'no place' for place in waits)}"


def _readable(fd: int, seconds: float | None) -> bool:
    """Whether the descriptor can be read within that time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else max(0.0, seconds) * 1000))


def _chain(task: Task, kind: Kind, values: Mapping[str, bytes], left: int) -> tuple[Result, bytes]:
    """Add one child after another; each one's value is its parent's and one byte more."""
    value = max(values.values(), key=len, default=b"") + b"."
    if not left:
        return Result(task.job, (0, len(value)), zlib.crc32(value)), value
    below = body("chain", left - 1)
    new = NewJob(f"0.{left}", 0, (len(value), len(value) + len(below)), zlib.crc32(below), needs=(task.job,))
    result = Result(task.job, (0, len(value)), zlib.crc32(value), kinds=(kind,), jobs=(new,), children=(new.id,))
    return result, value + below


def _announce(path: str, pid: int) -> None:
    """Write the id into the file, which is there whole or not at all."""
    scratch = Path(path + ".new")
    scratch.write_text(str(pid))
    scratch.rename(path)


def _nothing(place: Place, task: Task, values: Mapping[str, bytes]) -> None:
    """Nothing at all."""


def _give(place: Place, task: Task, values: Mapping[str, bytes], text: str) -> bytes:
    return text.encode()


def _large(place: Place, task: Task, values: Mapping[str, bytes], size: int) -> bytes:
    return bytes(i % 251 for i in range(251)) * (size // 251)


def _joined(place: Place, task: Task, values: Mapping[str, bytes]) -> bytes:
    return b",".join(values[name] for name in sorted(values))


def _raise(place: Place, task: Task, values: Mapping[str, bytes], text: str) -> None:
    raise RuntimeError(text)


def _exit(place: Place, task: Task, values: Mapping[str, bytes], code: int) -> None:
    sys.exit(code)


def _quit(place: Place, task: Task, values: Mapping[str, bytes], code: int) -> None:
    os._exit(code)


def _die(place: Place, task: Task, values: Mapping[str, bytes], number: int) -> None:
    os.kill(os.getpid(), number)


def _print(place: Place, task: Task, values: Mapping[str, bytes], text: str) -> None:
    print(text)


def _print_and_raise(place: Place, task: Task, values: Mapping[str, bytes], text: str) -> None:
    print(text)
    raise RuntimeError("after printing")


def _print_and_die(place: Place, task: Task, values: Mapping[str, bytes], text: str) -> None:
    print(text)
    os.kill(os.getpid(), signal.SIGKILL)


def _allocate(place: Place, task: Task, values: Mapping[str, bytes], size: int, until: str) -> None:
    """Use that much memory, and keep it until the file appears."""
    kept = bytearray(size)
    kept[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(kept[:: os.sysconf("SC_PAGE_SIZE")])
    await_file(until)


def _compute(place: Place, task: Task, values: Mapping[str, bytes], count: int) -> bytes:
    return str(sum(i * i for i in range(count))).encode()


def _wait(place: Place, task: Task, values: Mapping[str, bytes], started: str, until: str) -> None:
    """Make the first file, then last until the second one appears."""
    _announce(started, os.getpid())
    await_file(until)


def _stop_slot(place: Place, task: Task, values: Mapping[str, bytes], pids: str) -> None:
    """Stop the process that would run the next job after this one; write down both their ids."""
    os.kill(os.getppid(), signal.SIGSTOP)
    scratch = Path(pids + ".new")
    scratch.write_text(f"{os.getpid()} {os.getppid()}")
    scratch.rename(pids)


def _ignore(place: Place, task: Task, values: Mapping[str, bytes], started: str, until: str) -> None:
    """The same, and be deaf to every signal that one can be deaf to."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _wait(place, task, values, started, until)


def _until_asked(place: Place, task: Task, values: Mapping[str, bytes], started: str, pids: str = "") -> bytes:
    """Make the first file, then last until SIGTERM comes; with a child whose id is written down, tell whether that still ran."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) if pids else None
    if child is not None:
        Path(pids).write_text(str(child.pid))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    _announce(started, os.getpid())
    signal.sigwait([signal.SIGTERM])
    return b"asked" + (b"; the child still ran" if child is not None and child.poll() is None else b"")


def _serve(place: Place, task: Task, values: Mapping[str, bytes], address: str) -> None:
    """Tell that the service is up, then last until SIGTERM comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    data = address.encode()
    assert place.up is not None
    place.up(Result(task.job, (0, len(data)), zlib.crc32(data)), data)
    signal.sigwait([signal.SIGTERM])


def _background(place: Place, task: Task, values: Mapping[str, bytes], pids: str, session: bool, until: str) -> None:
    """Start a process that would last for ever, write down its id, and, if a file is named, last until it appears."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=session)
    _announce(pids, child.pid)
    if until:
        await_file(until)


def _daemon(place: Place, task: Task, values: Mapping[str, bytes], pids: str) -> None:
    """Start a process that leaves session, parent and folder behind, write down its id, and end."""
    reading, writing = os.pipe()
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.write(writing, str(os.getpid()).encode())
        signal.pause()
        os._exit(0)
    Path(pids).write_text(os.read(reading, 100).decode())


def _environment(place: Place, task: Task, values: Mapping[str, bytes], name: str) -> bytes:
    return os.environ.get(name, "").encode()


def _place(place: Place, task: Task, values: Mapping[str, bytes]) -> bytes:
    """Where it runs, what is there, and a file left behind."""
    found = [os.getcwd(), os.environ["TMPDIR"], str(place.tmp), ",".join(sorted(os.listdir("."))), str(os.getpid())]
    Path("left").mkdir()
    Path("left/behind").write_bytes(b"x" * 100_000)
    return "\n".join(found).encode()


def _write_file(place: Place, task: Task, values: Mapping[str, bytes], then: str) -> None:
    """Write a file into the job store as the attempt's own, then `succeed`, `raise`, `die`, or wait for a file."""
    from toil_core.wire import keys

    place.open_store().create(keys.execution_files(place.request, task.job, place.mark) + "file", b"content")
    if then == "raise":
        raise RuntimeError("after writing")
    if then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if then != "succeed":
        await_file(then)


def _once(place: Place, task: Task, values: Mapping[str, bytes], path: str) -> bytes:
    """Count in a file how often this ran."""
    with open(path, "a") as file:
        file.write("x")
    return b"ran"


def _main_name(place: Place, task: Task, values: Mapping[str, bytes], name: str) -> bytes:
    """Call a function of the user's main module."""
    found: Callable[[], str] = getattr(sys.modules["__main__"], name)
    return found().encode()


def _stdin(place: Place, task: Task, values: Mapping[str, bytes]) -> bytes:
    readable, _, _ = select.select([0], [], [], 0)
    return os.read(0, 10) if readable else b"nothing to read"


def _full_disk(place: Place, task: Task, values: Mapping[str, bytes]) -> None:
    with open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")


_ACTIONS: dict[str, Callable[..., bytes | None]] = {
    "nothing": _nothing,
    "give": _give,
    "large": _large,
    "joined": _joined,
    "raise": _raise,
    "exit": _exit,
    "quit": _quit,
    "die": _die,
    "print": _print,
    "print and raise": _print_and_raise,
    "print and die": _print_and_die,
    "allocate": _allocate,
    "compute": _compute,
    "wait": _wait,
    "ignore signals": _ignore,
    "stop slot": _stop_slot,
    "until asked": _until_asked,
    "serve": _serve,
    "background": _background,
    "daemon": _daemon,
    "environment": _environment,
    "place": _place,
    "write file": _write_file,
    "once": _once,
    "main": _main_name,
    "stdin": _stdin,
    "full disk": _full_disk,
}


def kind(name: str = "test", *, isolated: bool = True, **needs: Any) -> Kind:
    """A kind of jobs; keywords are those of `Requirement`."""
    return Kind(name, Requirement(**{"cores": 0.1, **needs}), isolated)
