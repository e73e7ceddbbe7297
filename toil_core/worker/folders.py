"""A host's folder for everything temporary, and sweeping up after hosts that died."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from toil_core.worker import procfs

_PREFIX = "toil-run-"
_LOCK = "lock"
"""The file that says that the host lives, and in which it writes how many requests it has; `cluster/on_node.py` looks for it."""
_PATIENCE = 60.0
"""Seconds that a process may take to end once it is ending."""


class RunFolder:
    """The folder of one host. A lock that the system frees when the host dies tells whether it lives.

    Args:
        root: Where to make it.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        sweep_all(root)
        pid = os.getpid()
        base = f"{_PREFIX}{pid}-{procfs.start_time(pid)}"
        for attempt in range(1000):
            path = root.resolve() / (f"{base}-{attempt}" if attempt else base)
            try:
                path.mkdir(mode=0o700)
                break
            except FileExistsError:
                continue
        self.path = path
        import fcntl

        self._lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def tell(self, requests: int, last: bool) -> None:
        """Say to whoever looks from outside how many requests the host has, and whether these are the last."""
        os.pwrite(self._lock, b"%-8d%-4s" % (requests, b"last" if last else b""), 0)

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        import fcntl

        with suppress(OSError):
            empty(str(self.path), but=_LOCK)
        fcntl.flock(self._lock, fcntl.LOCK_UN)  # NFS and much of FUSE hide an open file instead of removing it, and its folder stays
        os.close(self._lock)
        _remove_tree(self.path, ignore_errors=True)


def empty(folder: str, but: str = "") -> None:
    """Remove everything in the folder.

    Args:
        folder: The folder.
        but: The name of what stays.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == but:
                continue
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
            else:
                os.unlink(entry.path)


def remove(path: str) -> None:
    """Remove a folder, also where its owner took away his own right to."""
    _remove_tree(path, onerror=lambda _function, name, _error: _open_up(name))
    if os.path.lexists(path):
        _remove_tree(path, ignore_errors=True)


def _remove_tree(path: str | Path, **how: Any) -> None:
    import shutil  # it maps libraries for compression; every fork of a process that has them would pay for that

    shutil.rmtree(path, **how)


def size(folder: str, most: int | None = None) -> int:
    """Bytes of disk that everything in the folder takes; what vanishes meanwhile counts for nothing.

    Args:
        folder: The folder.
        most: After so many entries the rest is left out; None for all.
    """
    total = seen = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            seen += 1
            if most is not None and seen > most:
                return total
            try:
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def _open_up(path: str) -> None:
    for name in (os.path.dirname(path), path):
        if os.path.isdir(name) and not os.path.islink(name):  # files may be links to what others read
            try:
                os.chmod(name, 0o700)
            except OSError:
                pass


def sweep_all(root: Path) -> None:
    """Sweep after every host that made its folder there and is no more."""
    for path in root.resolve().glob(f"{_PREFIX}*"):
        sweep(path)


def sweep(path: Path) -> None:
    """End the processes of the host with that folder and remove the folder, when the host is no more.

    What its attempts left to do afterwards is done first, by a process that then removes the folder.
    """
    if _dead(path):
        from toil_core.worker import deferred

        procfs.end_all(str(path))
        left = deferred.left(str(path))
        if left:
            deferred.run_and_remove(str(path), left)
            return
        _remove_tree(path, ignore_errors=True)


def sweep_after(path: Path) -> None:
    """Sweep after the host with that folder, if it is ending: first wait for its end, as its lock may be the last that it lets go."""
    if host_exits(path):
        procfs.await_end(_host_of(path)[0], _PATIENCE)
    sweep(path)


def host_exits(path: Path) -> bool:
    """Whether the process of the host with that folder has ended or is about to."""
    return procfs.exiting(_host_of(path)[0])


def _host_of(path: Path) -> tuple[int, str]:
    """The process whose folder it is, and when that started; (0, "") when the name tells of none."""
    pid, _, rest = path.name.removeprefix(_PREFIX).partition("-")
    return (int(pid), rest.partition("-")[0]) if pid.isdigit() else (0, "")


def _dead(path: Path) -> bool:
    import fcntl

    pid, start = _host_of(path)
    if pid and procfs.start_time(pid) == start:
        return False
    try:
        lock = os.open(path / _LOCK, os.O_RDWR)
    except FileNotFoundError:  # it died before it could make its lock
        return True
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it lives where its process cannot be seen from here
        return False
    else:
        return True
    finally:
        os.close(lock)
