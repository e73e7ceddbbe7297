"""How much the node's cache holds, and making room in it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from toil_core.staged_names import abandoned

ENTRIES = "entries"
FILLING = "filling"
_RECORD = struct.Struct("<qq")
_FREE = 0.05
"""The part of the disk that the cache leaves alone."""
_SPARE = 0.1
"""The part of the limit that is made free at once, so that room need not be made for every file."""


class _Found(NamedTuple):
    used: int
    """When it was used last, in nanoseconds."""
    size: int
    path: str
    linked: bool
    """Whether a job has a link to it."""


class Ledger:
    """The number of bytes in a cache, kept in a file.

    Room is counted before it is used, so what a killed process leaves makes the count too high,
    never too low, and the next look at the folder mends it.

    Args:
        folder: The cache's folder.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._path = f"{folder}/ledger"

    def begin(self, limit: int, *, replace: bool) -> None:
        """Set how many bytes there may be.

        Args:
            limit: The number.
            replace: Whether it counts although another was set before.
        """
        with self._locked(os.O_CREAT) as fd:
            former, used = _read(fd)
            _write(fd, limit if replace or former < 0 else former, used)

    def reserve(self, size: int) -> bool:
        """Set bytes aside, removing what was not used for longest and is not in use now; False when there is no room."""
        with self._locked() as fd:
            limit, used = _read(fd)
            if used + size > limit or self._scarce(size):
                if size > limit:
                    return False
                used = self._make_room(limit, size)
            fits = used + size <= limit and not self._scarce(size)
            _write(fd, limit, used + size if fits else used)
        return fits

    def _scarce(self, size: int) -> bool:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize - size < _FREE * disk.f_blocks * disk.f_frsize

    def _make_room(self, limit: int, size: int) -> int:
        """Remove what can be; the bytes that stay."""
        entries = sorted(_scan(f"{self._folder}/{ENTRIES}"))
        used = sum(entry.size for entry in entries) + self._filling()
        wanted = min(limit - size, int(limit * (1 - _SPARE)))
        for entry in entries:
            if used <= wanted and not self._scarce(size):
                break
            if not entry.linked and _remove(entry.path):
                used -= entry.size
        return used

    def _filling(self) -> int:
        """The bytes of files on their way in; those of dead processes are removed."""
        total = 0
        for file in _scan(f"{self._folder}/{FILLING}"):
            dead = abandoned(os.path.basename(file.path))
            if not (dead or (dead is None and _remove(file.path))):
                total += file.size
            elif dead:
                with suppress(FileNotFoundError):
                    os.unlink(file.path)
        return total

    @contextmanager
    def _locked(self, flags: int = 0) -> Iterator[int]:
        fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)


def _read(fd: int) -> tuple[int, int]:
    """The limit, negative when none is set, and the bytes that there are."""
    data = os.pread(fd, _RECORD.size, 0)
    limit, used = _RECORD.unpack(data) if len(data) == _RECORD.size else (-1, 0)
    return limit, used


def _write(fd: int, limit: int, used: int) -> None:
    os.pwrite(fd, _RECORD.pack(limit, used), 0)


def _scan(folder: str) -> Iterator[_Found]:
    with os.scandir(folder) as found:
        for item in found:
            with suppress(FileNotFoundError):
                facts = item.stat()
                yield _Found(facts.st_atime_ns, facts.st_size, item.path, facts.st_nlink > 1)


def _remove(path: str) -> bool:
    """Remove a file that no process has a lock on."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True
