"""Folders on their way into the job store and out of it."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from toil_core.errors import UsageError
from toil_core.workflow.file_access import Access
from toil_core.workflow.file_values import Directory, Entry, File, check_content, check_name, decode_entries, encode_entries

S = TypeVar("S")
T = TypeVar("T")


class Found(NamedTuple):
    """What a folder has at one path.

    Args:
        path: Where, below the folder.
        source: Where on this machine.
        mode: Its permissions.
        kind: `file`, `folder` or `link`.
        link: What a link says, seen from where it is.
    """

    path: str
    source: Path
    mode: int
    kind: str
    link: str = ""


def scan(top: Path, *, follow: bool) -> Iterator[Found]:
    """Everything below a folder, folders before what is in them.

    Args:
        top: The folder.
        follow: Whether links that lead to something below the folder are followed; others always are.

    Raises:
        UsageError: There is something that is no file, folder or link; a link that leads nowhere or
            in a circle; or a name that no file in a job store can have.
    """
    root = os.path.realpath(top)
    yield from _scan(root, root, "", follow, (root,))


def _scan(root: str, folder: str, prefix: str, follow: bool, above: tuple[str, ...]) -> Iterator[Found]:
    with os.scandir(folder) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        path = prefix + item.name
        try:
            check_name(item.name)
        except (UsageError, UnicodeEncodeError):
            raise UsageError(f"{item.path!r} cannot be kept: a name must be printable UTF-8 of at most 200 bytes") from None
        source = item.path
        if item.is_symlink():
            real = os.path.realpath(source)
            if not os.path.exists(real):
                raise UsageError(f"{source} is a symbolic link that leads nowhere; remove it, or make what it leads to")
            if not follow and os.path.commonpath((real, root)) == root:
                link = os.path.relpath(os.path.relpath(real, root), os.path.dirname(path) or ".")
                yield Found(path, Path(source), 0o777, "link", link)
                continue
            if os.path.isdir(real) and real in above:
                raise UsageError(f"{source} is a symbolic link that leads in a circle; it cannot be followed")
            source = real
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            yield Found(path, Path(source), stat.S_IMODE(mode), "folder")
            yield from _scan(root, source, f"{path}/", follow, (*above, os.path.realpath(source)))
        elif stat.S_ISREG(mode):
            yield Found(path, Path(source), stat.S_IMODE(mode), "file")
        else:
            raise UsageError(f"{item.path} is no file, folder or symbolic link; it cannot be kept")


def keep(top: Path, name: str, access: Access, key: str, follow: bool) -> tuple[Directory, list[str]]:
    """Store a folder; files of the same content once.

    Args:
        top: The folder.
        name: What the directory is called.
        access: The way to the store.
        key: What the keys of its files start with.
        follow: See `scan`.

    Returns:
        The directory, and the keys of everything that was stored for it.

    Raises:
        UsageError: As `scan`.
    """
    found = list(scan(top, follow=follow))
    contents = _distinct([item for item in found if item.kind == "file"])
    firsts = list(dict.fromkeys(contents.values()))
    numbers = {item: number for number, item in enumerate(firsts)}

    def store(item: Found) -> File:
        base = item.path.rpartition("/")[2]
        return access.keep(item.source, f"{key}/{numbers[item]}/{base}", base, take=False)

    files = dict(zip(firsts, each(access, store, firsts), strict=True))
    entries = []
    for item in found:
        file = None
        if item.kind == "file":
            same = files[contents[item]]
            file = File(same.key, same.size, item.path.rpartition("/")[2], same.executable, same.crc)
        entries.append(Entry(item.path, item.mode, file, item.link))
    manifest = access.keep_content(encode_entries(entries), f"{key}/manifest", "manifest")
    size = sum(entry.file.size for entry in entries if entry.file is not None)
    return Directory(manifest, size, name, len(contents)), [manifest.key, *(file.key for file in files.values())]


def entries_of(directory: Directory, access: Access) -> list[Entry]:
    """What is in a directory.

    Raises:
        NoSuchKey: It was deleted.
        CorruptBlob: The store holds something else.
    """
    with access.open(directory.manifest) as stream:
        data = stream.read()
    check_content(directory.manifest, len(data), zlib.crc32(data) if directory.manifest.crc is not None else None)
    return decode_entries(data, directory.manifest)


def lay_out(entries: Sequence[Entry], path: Path, access: Access, *, own: bool, symlink: bool) -> None:
    """Make a folder with everything that is in a directory.

    Args:
        entries: What is in it.
        path: A path that does not exist.
        access: The way to the store.
        own: Whether the files are to be changed.
        symlink: Whether files may be symbolic links.
    """
    path.mkdir(parents=True)
    files: list[tuple[File, Path, int]] = []
    for entry in entries:
        place = path / entry.path
        if entry.file is not None:
            files.append((entry.file, place, entry.mode))
        elif entry.link:
            place.symlink_to(entry.link)
        else:
            place.mkdir()

    def make(item: tuple[File, Path, int]) -> None:
        file, place, mode = item
        if own:
            access.copy(file, place)
            place.chmod(mode | 0o600)
        else:
            access.place(file, place, symlink=symlink)

    each(access, make, files)
    for entry in entries if own else ():
        if entry.file is None and not entry.link:
            (path / entry.path).chmod(entry.mode | 0o700)


def each(access: Access, action: Callable[[S], T], items: Sequence[S], several: int | None = None) -> list[T]:
    """Do something with each item, several at once where the way to the store allows.

    Args:
        access: The way to the store.
        action: What to do.
        items: The items.
        several: How many at once; as many as are best moved through this machine, if not given.
    """
    several = access.several if several is None else several
    if several == 1 or len(items) < 2:
        return [action(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(several, len(items))) as pool:
        return list(pool.map(action, items))


def _distinct(files: Sequence[Found]) -> dict[Found, Found]:
    """For each file the first one of the same content that may be executed like it."""
    sizes: dict[tuple[int, bool], list[Found]] = {}
    for file in files:
        sizes.setdefault((file.source.stat().st_size, bool(file.mode & 0o100)), []).append(file)
    same: dict[Found, Found] = {}
    for group in sizes.values():
        firsts: dict[bytes, Found] = {}
        for file in group:
            digest = _digest(file.source) if len(group) > 1 else b""
            same[file] = firsts.setdefault(digest, file)
    return same


def _digest(path: Path) -> bytes:
    import hashlib

    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
