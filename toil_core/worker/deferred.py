"""Functions that run after an attempt whatever became of it: killed, its slot killed, its host killed.

An attempt appends each to a file in the host's folder before it goes on. Once it has ended, its slot
runs them, last first, and forgets each that it ran. What a slot could not run, because it was killed
itself, its host runs; what the host could not, its fork server; and what nobody was left to run, the
next host on this machine that uses the same folder for temporary files.

Layout of a file: records of length and CRC-32 (4 bytes each, little endian) and bytes. The first is
the encoded `Setup`, so that the user's modules can be loaded anew; each other one is a name, a zero
byte and the pickled call.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

from toil_core.wire import work
from toil_core.wire.work import Setup
from toil_core.worker import procfs

FOLDER = "deferred"
_FRAME = struct.Struct("<II")
_MAIN = "from toil_core.worker.deferred import main; main()"


def path_of(run: str, server: str, slot: int) -> str:
    """The file of a slot.

    Args:
        run: The host's folder.
        server: The fork server's folder.
        slot: The slot's number.
    """
    return f"{run}/{FOLDER}/{os.path.basename(server)}-{slot}"


def append(path: str, setup: Setup, name: str, call: bytes) -> None:
    """Note a call; once this returns, no killing of processes loses it.

    Args:
        path: The slot's file.
        setup: What workers must know of the workflow.
        name: What the function is called.
        call: The pickled function, arguments and keyword arguments.
    """
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        first = b"" if os.fstat(fd).st_size else _framed(work.encode(setup))
        os.write(fd, first + _framed(name.encode() + b"\0" + call))
    finally:
        os.close(fd)


def run_all(path: str, seconds: float, enter: Callable[[], None]) -> list[str]:
    """Run what is noted in a file, last first, each in a process of its own; then remove the file.

    Args:
        path: The file; when there is none, nothing happens.
        seconds: How long each may take.
        enter: Called first in each process.

    Returns:
        What went wrong, a line for each that did not come to a good end.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    wrong = []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        _, *calls = _records(fd)
        for start, record in reversed(calls):
            name, _, call = record.partition(b"\0")
            trouble = _run(call, seconds, enter)
            if trouble:
                wrong.append(f"deferred function {name.decode()} {trouble}")
            os.ftruncate(fd, start)
        if os.fstat(fd).st_nlink:
            os.unlink(path)
    except (ValueError, FileNotFoundError):  # nothing whole is in it, or another has just run and removed it
        pass
    finally:
        os.close(fd)
    return wrong


def set_aside(run: str, server: str, slot: int) -> str:
    """Take a dead slot's file, and its attempt's folder, out of the way of the next slot with that number.

    Args:
        run: The host's folder.
        server: The fork server's folder.
        slot: The slot's number.

    Returns:
        Where the file is now; empty when there is none.
    """
    path, mark = path_of(run, server, slot), os.urandom(4).hex()
    try:
        os.rename(path, f"{path}.{mark}")
    except FileNotFoundError:
        return ""
    with suppress(OSError):  # the attempt may have removed its folder
        os.rename(f"{server}/{slot}/tmp", f"{server}/{slot}/tmp.{mark}")
    return f"{path}.{mark}"


def left(run: str, prefix: str = "") -> list[str]:
    """The files in a host's folder that this user may trust: made by himself, writable to no one else.

    Args:
        run: The host's folder.
        prefix: How their names begin.
    """
    folder = f"{run}/{FOLDER}"
    if not (_own(run, stat.S_ISDIR) and _own(folder, stat.S_ISDIR)):
        return []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:  # another has just run them, and removed it
        return []
    paths = [f"{folder}/{name}" for name in names if name.startswith(prefix)]
    return [path for path in paths if _own(path, stat.S_ISREG)]


def run_left(paths: list[str]) -> None:
    """Run what is noted in files in a new process, wait for it, and log what it printed."""
    import logging
    import tempfile

    if not paths:
        return
    with tempfile.TemporaryFile() as output:
        _start("", paths, output.fileno())
        output.seek(0)
        for line in output.read().decode(errors="replace").splitlines():
            logging.getLogger("toil.worker").info("deferred: %s", line)


def run_and_remove(folder: str, paths: list[str]) -> None:
    """Run what is noted in files of a dead host's folder, and remove the folder; a process of its own sees to both."""
    _start(folder, paths, subprocess.DEVNULL)


def _start(folder: str, paths: list[str], output: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != procfs.MARK}
    subprocess.run(
        [sys.executable, "-P", "-c", _MAIN, folder, *paths],
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True, check=False,
    )  # fmt: skip


def main() -> None:
    """Run what is noted in the files named on the command line after the folder to remove, if one is to be removed."""
    folder, *paths = sys.argv[1:]
    if folder and os.fork():  # whoever started this does not wait for the end
        os._exit(0)
    from toil_core.worker import folders

    for path in paths:
        pid = os.fork()
        if not pid:
            _be_loaded(path)
        os.waitpid(pid, 0)
        if os.path.exists(place := _place(path)):
            folders.remove(place)
    if folder:
        folders.remove(folder)


def _be_loaded(path: str) -> NoReturn:
    """Load the modules that a file's calls need, and run them."""
    try:
        from toil_core.worker import modules

        with open(path, "rb") as file:
            header = next(_records(file.fileno()), None)
        if header is not None:
            setup = work.decode_setup(header[1])
            os.environ.update(setup.environment)
            modules.load(setup)
            for trouble in run_all(path, seconds_of(setup), lambda: _enter(path)):
                print(trouble, flush=True)
    except FileNotFoundError:  # another has just run and removed it
        pass
    except BaseException:  # noqa: BLE001 - nothing may leave this process
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _enter(path: str) -> None:
    """Go where the attempt was, if its folder is still there."""
    os.setpgid(0, 0)
    folder = _place(path)
    os.chdir(folder if os.path.isdir(folder) else os.path.dirname(path))


def _place(path: str) -> str:
    """The folder of the attempt that a file is of."""
    whose, dot, mark = os.path.basename(path).partition(".")
    server, _, slot = whose.rpartition("-")
    return f"{os.path.dirname(os.path.dirname(path))}/{server}/{slot}/tmp{dot}{mark}"


def seconds_of(setup: Setup) -> float:
    """How long each function may take in a workflow."""
    from toil_core.leader.options import EngineOptions
    from toil_core.options import Config

    return Config.from_dict(setup.options)[EngineOptions].deferred_time


def _run(call: bytes, seconds: float, enter: Callable[[], None]) -> str:
    """Run one; what went wrong, if anything."""
    pid = os.fork()
    if not pid:
        _be_called(call, enter)
    death = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(death, select.POLLIN)
    ended = poll.poll(seconds * 1000)
    os.close(death)
    if not ended:
        for each in procfs.family(pid):
            procfs.kill(each)
    procfs.kill(pid)  # it has ended, and is not reaped: its group is what it left running
    _, status = os.waitpid(pid, 0)
    if not ended:
        return f"did not end in its {seconds:g} s"
    return "" if status == 0 else "failed; its log tells why"


def _be_called(call: bytes, enter: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        from toil_core.workflow import pickling

        enter()
        function, args, kwargs = pickling.load(call, {})
        function(*args, **kwargs)
        sys.stdout.flush()
        sys.stderr.flush()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may leave this process
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _records(fd: int) -> Iterator[tuple[int, bytes]]:
    """Place and content of every whole record."""
    data, place = os.pread(fd, os.fstat(fd).st_size, 0), 0
    while place + _FRAME.size <= len(data):
        size, crc = _FRAME.unpack_from(data, place)
        record = data[place + _FRAME.size : place + _FRAME.size + size]
        if len(record) != size or zlib.crc32(record) != crc:
            return
        yield place, record
        place += _FRAME.size + size


def _framed(record: bytes) -> bytes:
    return _FRAME.pack(len(record), zlib.crc32(record)) + record


def _own(path: str, kind: Callable[[int], bool]) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return kind(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


