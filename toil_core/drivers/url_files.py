"""Local files behind URLs: read, written whole or not at all, and moved in and out of a job store."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from toil_core.errors import BadLocator, StoreFull, ToilError, Transient
from toil_core.job_store import PIECE, HasPaths
from toil_core.staged_names import staged_name

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CLONE = 0x40049409
"""FICLONE of Linux: the new file shares the blocks of the old one until either is changed."""
_CHUNK = 1 << 30
_COPY_INSTEAD = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EBADF, errno.ETXTBSY)
_PASSES = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN)


def read(path: str) -> BinaryIO:
    """Open a file.

    Raises:
        BadLocator: There is none, or it may not be read.
    """
    with _said(path):
        return open(path, "rb")


class Output(io.RawIOBase):
    """Writes a file that gets its name when it is closed.

    Leaving a `with` block by an exception, or forgetting to close, leaves nothing.

    Args:
        path: The file's absolute path. A former file is replaced; a symbolic link is followed.

    Raises:
        BadLocator: It cannot be written there.
    """

    def __init__(self, path: str) -> None:
        self._fd = -1
        self._path = os.path.realpath(path)
        if path.endswith("/") or (os.path.lexists(self._path) and not os.path.isfile(self._path)):
            raise BadLocator(f"{path} is a folder or a device, not a file that can be replaced; give a file's name")
        self._part = os.path.join(os.path.dirname(self._path), f".{staged_name()}.part")
        self._whole = True
        with _said(self._path, writing=True):
            self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Buffer, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        with self._or_broken():
            while left:
                left = left[os.write(self._fd, left) :]
        return size

    def fill(self, source: int) -> None:
        """Write all of an open file, by sharing its blocks if that can be."""
        with self._or_broken():
            _copy(source, self._fd)

    def close(self) -> None:
        if self.closed or self._fd < 0:
            return super().close()
        if not self._whole:
            return self.discard()
        try:
            with self._or_broken():
                os.close(self._fd)
                self._fd = -1
                os.replace(self._part, self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was written so far."""
        if self._fd >= 0:
            os.close(self._fd)
        with suppress(OSError):
            os.unlink(self._part)
        self._fd = -1
        super().close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        if self._fd >= 0:
            self.discard()

    @contextmanager
    def _or_broken(self) -> Iterator[None]:
        try:
            with _said(self._path, writing=True):
                yield
        except ToilError:
            self._whole = False
            raise


def copy(source: str, target: str) -> None:
    """Make a file of the user's own with another one's content.

    Raises:
        BadLocator: It cannot be written there.
        StoreFull: There is no room.
    """
    with read(source) as file, Output(target) as output:
        output.fill(file.fileno())


def take_in(store: HasPaths, key: str, path: str) -> None:
    """Make a file's content the blob of a key: by a link when nobody may write to the file, else by a copy.

    Raises:
        BadLocator: It cannot be read.
        StoreFull: There is no room.
    """
    staged = store.staging() / staged_name()
    try:
        if not _linked(os.path.realpath(path), staged):
            with read(path) as file, _said(key, writing=True), open(staged, "xb") as target:
                _copy(file.fileno(), target.fileno())
        store.adopt(key, staged)
    finally:
        staged.unlink(missing_ok=True)


def _linked(path: str, staged: Path) -> bool:
    try:
        mode = os.lstat(path).st_mode
        if mode & 0o222 or not stat.S_ISREG(mode):
            return False
        os.link(path, staged)
    except OSError:
        return False
    return True


def _copy(source: int, target: int) -> None:
    import fcntl

    try:
        fcntl.ioctl(target, _CLONE, source)
        return
    except OSError as error:
        if error.errno not in _COPY_INSTEAD:
            raise
    try:
        while os.copy_file_range(source, target, _CHUNK):
            pass
    except OSError as error:
        if error.errno not in _COPY_INSTEAD:
            raise
    while data := os.read(source, PIECE):  # what the system would not copy by itself
        left = memoryview(data)
        while left:
            left = left[os.write(target, left) :]


@contextmanager
def _said(path: str, writing: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _verdict(error, path, writing) from error


def _verdict(error: OSError, path: str, writing: bool) -> ToilError:
    why = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(path, f"no room for the file ({why})")
    if error.errno in _PASSES:
        return Transient(f"{path}: {why}")
    if error.errno == errno.ENOENT:
        return BadLocator(_missing(os.path.dirname(path)) if writing else f"there is no file {path}")
    return BadLocator(f"{path} cannot be {'written' if writing else 'read'}: {why}")


def _missing(folder: str) -> str:
    if os.path.isdir(folder):
        return f"nothing can be made in {folder}; choose another folder"
    return f"there is no folder {folder}; make it first"
