"""Making one path of this machine like another, as the transport contract says."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from toil_core.errors import CannotCopy
from toil_core.file_trees import Changes, Kind, Tree, changes, same_size, tree_of


class DiskFull(CannotCopy):
    """No space is left for what the message names."""


def copy(source: Path, target: Path, *, delete: bool = False) -> None:
    """Make the target like the source.

    Args:
        source: A file or a folder, or a link to one.
        target: What becomes like it.
        delete: Whether what the source does not have goes.

    Raises:
        CannotCopy: It cannot be done.
        DiskFull: No space is left.
    """
    real = Path(os.path.realpath(source))
    wanted = tree_of(real)
    if not wanted or wanted[""].kind not in ("file", "folder"):
        raise CannotCopy(f"there is no file or folder {source}")
    if wanted[""].kind == "folder" and os.path.isdir(target):
        target = Path(os.path.realpath(target))
    there = tree_of(target)
    same = {path for path in same_size(wanted, there) if wanted[path].time == there[path].time}
    try:
        todo = changes(wanted, there, same, delete=delete)
    except CannotCopy as error:
        raise CannotCopy(f"{target}: {error}") from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _do(todo, wanted, real, target)
    except OSError as error:
        where = error.filename2 or error.filename or target
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(target)) from None
        raise CannotCopy(f"{source} cannot be copied to {target}: {where}: {error.strerror}") from None


def _do(todo: Changes, wanted: Tree, source: Path, target: Path) -> None:
    for path, kind in todo.removed:
        _remove(_at(target, path), kind)
    for path in todo.folders:
        _at(target, path).mkdir()
    for path in todo.files:
        _file(_at(source, path), _at(target, path))
    for path in todo.links:
        os.symlink(wanted[path].link, _at(target, path))
    for path in todo.kept:
        entry, place = wanted[path], _at(target, path)
        place.chmod(entry.mode)
        os.utime(place, ns=(entry.time, entry.time))


def _file(source: Path, target: Path) -> None:
    """Copy a file with its permissions and times, so that it appears whole."""
    handle, name = tempfile.mkstemp(prefix=".toil-", dir=target.parent)
    os.close(handle)
    try:
        shutil.copyfile(source, name)
        shutil.copystat(source, name)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _remove(place: Path, kind: Kind) -> None:
    place.rmdir() if kind == "folder" else place.unlink()


def _at(top: Path, path: str) -> Path:
    return top / path if path else top
