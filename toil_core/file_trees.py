"""What to do so that one tree of files becomes like another: for transports that copy by themselves.

A tree is a table of entries by path, with `/` between folders; the top is the empty path. Deciding is pure: a driver lists both
sides, says which files of one size are the same, and carries out what `changes` tells, in its order.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toil_core.errors import CannotCopy

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link.

    Args:
        kind: Which of them; `other` for devices, sockets and pipes.
        mode: Its permission bits.
        time: When it was modified: nanoseconds since 1970.
        size: Bytes of a file.
        link: Where a link points to.
    """

    kind: Kind
    mode: int = 0
    time: int = 0
    size: int = 0
    link: str = ""


Tree = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Changes:
    """What makes a target like its source, to be done in the order of the fields.

    Args:
        removed: What goes, with its kind; folders after what is in them.
        folders: Folders to make, those above first.
        files: Files to copy.
        links: Links to make.
        kept: Folders and files whose permissions, times or both are to be set, those below first.
    """

    removed: tuple[tuple[str, Kind], ...]
    folders: tuple[str, ...]
    files: tuple[str, ...]
    links: tuple[str, ...]
    kept: tuple[str, ...]


def kind_of(mode: int) -> Kind:
    """The kind of an entry with this mode."""
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_ISREG(mode) else "other"


def tree_of(top: Path) -> Tree:
    """The tree at a path of this machine; empty when nothing is there.

    Raises:
        CannotCopy: It cannot be read.
    """
    try:
        found = {"": _entry(os.fspath(top), os.lstat(top))}
        waiting = [""] if found[""].kind == "folder" else []
        while waiting:
            folder = waiting.pop()
            with os.scandir(top / folder) as items:
                for item in items:
                    path = f"{folder}/{item.name}" if folder else item.name
                    found[path] = _entry(item.path, item.stat(follow_symlinks=False))
                    if found[path].kind == "folder":
                        waiting.append(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if error.filename == os.fspath(top):
            return {}
        raise CannotCopy(f"{error.filename} went away while it was copied") from None
    except OSError as error:
        raise CannotCopy(f"{error.filename} cannot be read: {error.strerror}") from None
    return found


def same_size(source: Tree, target: Tree) -> list[str]:
    """Files that are on both sides and have one size there: those worth a closer look."""
    return [
        path
        for path, entry in source.items()
        if entry.kind == "file" and (other := target.get(path)) and other.kind == "file" and other.size == entry.size
    ]


def changes(source: Tree, target: Tree, same: Collection[str], *, delete: bool = False) -> Changes:
    """What makes the target like the source.

    Args:
        source: What is wanted.
        target: What is there.
        same: The files whose content is the same.
        delete: Whether what the source does not have goes.

    Raises:
        CannotCopy: A folder that is not empty is in the way of something else, and `delete` is not set.
    """
    gone = {path for path, entry in target.items() if path in source and _in_the_way(source[path], entry)}
    for path in gone:
        inside = f"{path}/" if path else ""
        if not delete and target[path].kind == "folder" and any(other != path and other.startswith(inside) for other in target):
            raise CannotCopy(f"a folder that is not empty is in the way: {path or 'the target itself'}")
    if delete:
        gone |= {path for path in target if path not in source}
        gone |= {path for path in target if any(above in gone for above in _above(path))}
    wanted = {path: entry for path, entry in source.items() if entry.kind != "other"}
    left = {path: entry for path, entry in target.items() if path not in gone}
    files = [path for path, entry in wanted.items() if entry.kind == "file" and not (path in left and path in same)]
    links = [path for path, entry in wanted.items() if entry.kind == "link" and path not in left]
    touched = {above for path in (*files, *links, *gone, *(wanted.keys() - left)) for above in _above(path)[:1]}
    kept = [
        path
        for path, entry in wanted.items()
        if entry.kind in ("file", "folder") and path not in files and (path in touched or path not in left or _dressed(entry) != _dressed(left[path]))
    ]
    return Changes(
        tuple((path, target[path].kind) for path in sorted(gone, key=_depth, reverse=True)),
        tuple(sorted((path for path, entry in wanted.items() if entry.kind == "folder" and path not in left), key=_depth)),
        tuple(files),
        tuple(links),
        tuple(sorted(kept, key=_depth, reverse=True)),
    )


def _in_the_way(wanted: Entry, there: Entry) -> bool:
    if wanted.kind == "other":
        return False
    return wanted.kind != there.kind or (wanted.kind == "link" and wanted.link != there.link)


def _dressed(entry: Entry) -> tuple[int, int]:
    return entry.mode, entry.time


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0


def _above(path: str) -> list[str]:
    """The folders that it is in, the nearest first."""
    found = []
    while path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def _entry(path: str, status: os.stat_result) -> Entry:
    kind = kind_of(status.st_mode)
    link = os.readlink(path) if kind == "link" else ""
    return Entry(kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns, status.st_size if kind == "file" else 0, link)
