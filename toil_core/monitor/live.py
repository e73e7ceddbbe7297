"""What a job prints while it runs, on this machine."""

from __future__ import annotations

import ctypes
import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from toil_core.errors import UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.options import EngineOptions
from toil_core.monitor import status
from toil_core.options import Config
from toil_core.worker.answers import NAME, Place

_MODIFIED, _ATTRIBUTES, _MOVED, _DELETED = 0x2, 0x4, 0x800, 0x400  # of inotify(7)
_NONBLOCK = 0x800
_CHUNK = 1 << 16


def places(store: JobStore) -> list[Place]:
    """What the store's leader runs on this machine.

    Raises:
        UsageError: No leader works here, or it cannot be asked; it says why.
    """
    leader = status.leader_status(store)
    if leader.state != "running":
        where = f"process {leader.pid} on {leader.host}" if leader.host else "none"
        hint = f"; ask on {leader.host}" if leader.state == "unknown" else ""
        raise UsageError(f"no leader is known to work on this machine (the newest: {where}){hint}")
    info = epoch.leader_info(store, leader.epoch)
    assert info is not None
    setup = status.setup(store, leader.epoch)
    found: list[Place] = []
    asked = False
    for root in _roots(info.pid, Config.from_dict(setup.options)[EngineOptions].work_dir if setup else None):
        for folder in root.glob(f"toil-run-{info.pid}-{info.born}*"):
            with suppress(OSError):
                found += _ask(folder / NAME)
                asked = True
    if not asked:
        raise UsageError(f"process {info.pid} cannot be asked what it runs: it runs nothing on this machine, or belongs to another user")
    return found


def follow(place: Place, *, wait: bool) -> Iterator[bytes]:
    """What the place's job has printed so far; then, if wanted, what it prints until it ends.

    What a job that succeeds prints just before its end may be missing.

    Args:
        place: Where it runs.
        wait: Whether to go on until the job ends.
    """
    path = f"{place.folder}/log"
    try:
        log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it has just ended
        return
    process = _process(path) if wait else None
    try:
        watch = _watch(path) if process is not None else -1
        try:
            yield from _read(log)
            while process is not None:
                ready, _, _ = select.select([watch, process], [], [])
                yield from _read(log)
                if process in ready:
                    break
                os.read(watch, 4096)
        finally:
            if watch >= 0:
                os.close(watch)
    finally:
        os.close(log)
        if process is not None:
            os.close(process)


def _roots(pid: int, work_dir: str | None) -> list[Path]:
    """Folders in which the leader may keep its temporary files."""
    roots = [work_dir, os.environ.get("TMPDIR"), "/tmp"]
    with suppress(OSError):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        roots += [os.fsdecode(each[7:]) for each in variables if each.startswith(b"TMPDIR=")]
    return list(dict.fromkeys(Path(root).resolve() for root in roots if root))


def _ask(path: Path) -> list[Place]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(5.0)
        asking.connect(str(path))
        data = b""
        while part := asking.recv(_CHUNK):
            data += part
    return msgspec.json.decode(data, type=list[Place])


def _process(log: str) -> int | None:
    """A descriptor of the attempt whose output goes to the log; None when there is none.

    The slot writes to the log too, and so does all that the attempt started; what that leaves behind becomes the slot's.
    So the attempt is the oldest child of the one whose parent does not write to it.
    """
    writers: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                if os.readlink(f"/proc/{name}/fd/1") == log:
                    _, _, fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")
                    parent, born = fields.split()[1], fields.split()[19]
                    writers[int(name)] = int(parent), int(born)
    below = [(born, pid) for pid, (parent, born) in writers.items() if parent in writers and writers[parent][0] not in writers]
    with suppress(OSError):
        return os.pidfd_open(min(below)[1]) if below else None
    return None


def _watch(path: str) -> int:
    """A descriptor that can be read when the file has changed."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = int(libc.inotify_init1(_NONBLOCK))
    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(path), _MODIFIED | _ATTRIBUTES | _MOVED | _DELETED) < 0:
        error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        raise UsageError(f"the log cannot be watched: {error.strerror}")
    return watch


def _read(log: int) -> Iterator[bytes]:
    while part := os.read(log, _CHUNK):
        yield part
