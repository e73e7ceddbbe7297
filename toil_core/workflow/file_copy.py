"""Copying files with as little work as the file system allows."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF)


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
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            _share(reader, writer)
            copy_stream(reader, writer)
    except FileExistsError:
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if move:
        source.unlink()


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


def copy_stream(reader: BinaryIO, writer: BinaryIO) -> int:
    """Copy a stream to its end; the number of bytes."""
    size = 0
    while chunk := reader.read(_CHUNK):
        writer.write(chunk)
        size += len(chunk)
    return size
