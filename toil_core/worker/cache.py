"""The node's cache: files of the job store on this node's disk, shared by all jobs of a run.

    held            whose lock every worker host of the node shares while it lives
    ledger          how many bytes there may be, and how many there are
    entries/KEY     a whole file, read-only, named after its key in hexadecimal digits, or after the hash of a long one
    filling/KEY     a file being fetched, locked by the process that fetches it

A key is never written anew once another job can know it, so an entry is right for ever. All
waiting is done in flock(2), whose locks die with their process; an entry gets its name when it
is whole. So any process may be killed at any moment: the next one goes on. What a job reads is
a link to the entry where it can be, else a file of the same blocks, else a copy. Nothing here
fails a job: where the cache cannot help, the file is fetched without it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from toil_core.open_files import is_at
from toil_core.staged_names import staged_name
from toil_core.worker.cache_ledger import ENTRIES, FILLING, Ledger
from toil_core.workflow.file_access import Way
from toil_core.workflow.file_copy import clone_open, copy_open, symlinked

_CANNOT_LINK = (errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EINVAL)
_SECOND = 1_000_000_000
_TRIES = 5
"""How often an entry may be removed, to make room, between being filled and being handed out."""


class Cache:
    """One attempt's view of the node's cache.

    Args:
        folder: The cache's folder, held by a worker host.
    """

    def __init__(self, folder: str) -> None:
        self._entries = f"{folder}/{ENTRIES}"
        self._filling = f"{folder}/{FILLING}"
        self._ledger = Ledger(folder)
        self._links = True
        self._leases: list[int] = []

    def __del__(self) -> None:
        for lease in self._leases:
            os.close(lease)

    def provide(self, key: str, size: int, mode: int, target: Path, way: Way, fetch: Callable[[BinaryIO], None]) -> bool:
        """Put the file of a key at a path; fetch it when it is not in the cache and nobody else is fetching it.

        Args:
            key: The file's key.
            size: Its length in bytes.
            mode: The permissions of the entry, without write.
            target: A path that does not exist.
            way: What the job wants.
            fetch: Writes the content, whole, or raises.

        Returns:
            False when the cache cannot help; nothing is at the path then.

        Raises:
            ToilError: As fetching raised it.
        """
        try:
            for _ in range(_TRIES):
                entry = self._open(key, size)
                if entry is not None:
                    with entry:
                        self._hand_out(entry, self._path(key), target, way)
                    return True
                if not self._fill(key, size, mode, fetch):
                    return False
        except OSError:
            target.unlink(missing_ok=True)
        return False

    def open(self, key: str, size: int) -> BinaryIO | None:
        """The file of a key as a stream, when it is here."""
        with suppress(OSError):
            return self._open(key, size)
        return None

    def put(self, key: str, source: Path | bytes, mode: int, *, take: bool = False) -> bool:
        """Keep what a job has written, so that others on this node need not fetch it.

        Args:
            key: The new file's key.
            source: The content; or a file with it.
            mode: The permissions of the entry, without write.
            take: Whether the file may be taken away.

        Returns:
            Whether it was kept; a file that may be taken away is gone then.
        """
        with suppress(OSError):
            if isinstance(source, bytes):
                return self._add(key, len(source), mode, lambda path: _write(path, source))
            facts = source.lstat()
            # a file with another name, or of another user, may still be changed by those who have it
            if take and facts.st_nlink == 1 and facts.st_uid == os.geteuid() and not source.is_symlink():
                with suppress(OSError):
                    return self._add(key, facts.st_size, mode, lambda path: os.rename(source, path))
            with source.open("rb") as reader:
                kept = self._add(key, os.fstat(reader.fileno()).st_size, mode, lambda path: copy_open(reader, Path(path)))
            if kept and take:
                source.unlink()
            return kept
        return False

    def _path(self, key: str) -> str:
        name = key.encode().hex()
        if len(name) > 240:
            from hashlib import sha256

            name = sha256(key.encode()).hexdigest()
        return f"{self._entries}/{name}"

    def _open(self, key: str, size: int) -> BinaryIO | None:
        """The entry, when it is there and as it was filled; it is marked as used."""
        path = self._path(key)
        try:
            entry = open(path, "rb")  # noqa: SIM115 - the caller closes it
        except FileNotFoundError:
            return None
        facts = os.fstat(entry.fileno())
        if facts.st_size != size or facts.st_mtime_ns % _SECOND:  # whoever writes to it gives it another time
            entry.close()
            os.unlink(path)
            return None
        with suppress(PermissionError):  # a container made it another user's
            os.utime(entry.fileno(), ns=(time.time_ns(), facts.st_mtime_ns))
        return entry

    # Handing out

    def _hand_out(self, entry: BinaryIO, path: str, target: Path, way: Way) -> None:
        if way is not Way.OWN and self._linked(path, target):
            return
        if clone_open(entry, target):
            pass
        elif way is Way.LINK and self._leased(path, entry) and symlinked(path, target):
            return
        else:
            copy_open(entry, target)
        if way is not Way.OWN:
            target.chmod(os.fstat(entry.fileno()).st_mode & 0o555)

    def _linked(self, path: str, target: Path) -> bool:
        if not self._links:
            return False
        try:
            os.link(path, target)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                self._links = False
            elif error.errno not in (errno.EMLINK, errno.ENOENT):  # too many links; or removed to make room
                raise
            return False
        return True

    def _leased(self, path: str, entry: BinaryIO) -> bool:
        """Keep the entry from being removed as long as this object and its process live."""
        lease = os.dup(entry.fileno())
        fcntl.flock(lease, fcntl.LOCK_SH)
        if not is_at(path, lease):
            os.close(lease)
            return False
        self._leases.append(lease)
        return True

    # Filling

    def _fill(self, key: str, size: int, mode: int, fetch: Callable[[BinaryIO], None]) -> bool:
        """Make the entry, or wait for the one who makes it; False when there is no room."""
        path = self._path(key)
        filling = f"{self._filling}/{os.path.basename(path)}"
        with _turn(filling, path) as file:
            if file is None:
                return True
            if not self._ledger.reserve(size):
                return False
            file.truncate(0)
            file.truncate(size)  # so that its room counts from now on
            fetch(file)
            file.flush()
            _settle(filling, mode)
            os.rename(filling, path)
        return True

    def _add(self, key: str, size: int, mode: int, make: Callable[[str], object]) -> bool:
        """Make the entry of a new file by making a file at a path; False when there is no room."""
        path = self._path(key)
        staged = f"{self._filling}/{staged_name()}"
        kept = False
        try:
            if self._ledger.reserve(size):
                make(staged)
                _settle(staged, mode)
                os.rename(staged, path)
                kept = True
        finally:
            if not kept:
                _unlink(staged)
                _unlink(path)  # it may be of an attempt that came to nothing and is repeated under the same keys
        return kept


@contextmanager
def _turn(filling: str, entry: str) -> Iterator[BinaryIO | None]:
    """The file to fill, once nobody else fills it; None when another has made the entry meanwhile."""
    while True:
        with open(os.open(filling, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                if is_at(filling, file.fileno()):
                    yield None if os.path.exists(entry) else file
                    return
            finally:
                if is_at(filling, file.fileno()):
                    os.unlink(filling)
                fcntl.flock(file, fcntl.LOCK_UN)  # a process that the job forked meanwhile has the lock too


def _settle(path: str, mode: int) -> None:
    """Give a whole file its permissions, and a time without fraction, which the next write to it takes away."""
    os.chmod(path, mode)
    os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns // _SECOND * _SECOND))


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
