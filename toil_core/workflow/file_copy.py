"""Copying files with as little work as the file system allows."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from toil_core.job_store import PIECE

_CLONE = 0x40049409
"""FICLONE of Linux: the new file shares the blocks of the old one until either is changed."""
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ENOTTY, errno.ETXTBSY)


def symlinked(source: str | Path, target: Path) -> bool:
    """Make the target a symbolic link to the source; False where the target's file system has no such links, as FAT."""
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


def copy_file(source: Path, target: Path, *, move: bool = False) -> None:
    """Copy a file's content to a path that does not exist; blocks are shared where the file system can.

    Args:
        source: The file.
        target: The new path.
        move: Rename it instead, where both are on one file system; else remove it after copying.

    Raises:
        FileExistsError: The target exists.
    """
    if move and not source.is_symlink() and not os.path.lexists(target):
        try:
            os.rename(source, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    with source.open("rb") as reader:
        copy_open(reader, target)
    if move:
        source.unlink()


def copy_open(reader: BinaryIO, target: Path) -> None:
    """Copy all of an open file to a path that does not exist; blocks are shared where the file system can.

    Raises:
        FileExistsError: The target exists.
    """
    with new_file(target) as writer:
        _share(reader, writer)
        copy_stream(reader, writer)


def clone_open(reader: BinaryIO, target: Path) -> bool:
    """Make a new file of the same blocks, which takes no room; False, and no file, where that cannot be.

    Raises:
        FileExistsError: The target exists.
    """
    import fcntl

    try:
        with new_file(target) as writer:
            fcntl.ioctl(writer.fileno(), _CLONE, reader.fileno())
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """A new file to write to, which is gone again when that fails; the error of a full disk names it.

    Raises:
        FileExistsError: The target exists.
    """
    writer = target.open("xb")
    try:
        with writer:
            yield writer
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            error.filename = str(target)
        raise


def _share(reader: BinaryIO, writer: BinaryIO) -> None:
    """Let the kernel copy, which shares the blocks where it can; what it leaves is copied the plain way."""
    try:
        while os.copy_file_range(reader.fileno(), writer.fileno(), 1 << 30):
            pass
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    writer.seek(0, os.SEEK_END)
    reader.seek(writer.tell())


@runtime_checkable
class CanSave(Protocol):
    """A stream that gets into a file more quickly by itself than by a reader: in parts, several at a time."""

    def save(self, descriptor: int, start: int, *, checked: bool) -> tuple[int, int]:
        """Write what is left of the stream into a regular file; nothing is left then.

        Args:
            descriptor: The file.
            start: Where in the file.
            checked: Whether the checksum is wanted.

        Returns:
            The number of bytes and their CRC-32, which is 0 where it is not wanted.

        Raises:
            OSError: The file cannot be written.
        """
        ...


def copy_stream(reader: BinaryIO, writer: BinaryIO) -> int:
    """Copy a stream to its end; the number of bytes."""
    return _copied(reader, writer, checked=False)[0]


def copy_checked(reader: BinaryIO, writer: BinaryIO) -> tuple[int, int]:
    """Copy a stream to its end; the number of bytes, and their CRC-32."""
    return _copied(reader, writer, checked=True)


def _copied(reader: BinaryIO, writer: BinaryIO, *, checked: bool) -> tuple[int, int]:
    start = _place(writer) if isinstance(reader, CanSave) else None
    if start is not None and isinstance(reader, CanSave):
        size, crc = reader.save(writer.fileno(), start, checked=checked)
        writer.seek(start + size)
        return size, crc
    size = crc = 0
    while chunk := reader.read(PIECE):
        writer.write(chunk)
        size += len(chunk)
        crc = zlib.crc32(chunk, crc) if checked else 0
    return size, crc


def _place(writer: BinaryIO) -> int | None:
    """Where in a regular file the next byte would be; None where a writer is something else, or always writes at the end."""
    import fcntl

    with suppress(OSError, AttributeError, ValueError):
        descriptor = writer.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND:
            writer.flush()
            return writer.tell()
    return None
