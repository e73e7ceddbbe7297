"""Files between a job store and URLs: copied, referred to where they are, and folders of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from toil_core import plugins
from toil_core.errors import BadLocator, CorruptBlob, UsageError
from toil_core.job_store import CanCopy, Listed
from toil_core.sizes import count
from toil_core.workflow.file_copy import copy_stream
from toil_core.workflow.file_values import Directory, Entry, File, check_name, encode_entries
from toil_core.workflow.folders import each

if TYPE_CHECKING:
    from toil_core.options import Config
    from toil_core.workflow.file_access import Access

_READABLE = 0o644
_COPIES = 16
"""So many files are copied at once where none of their bytes pass through this machine."""


def take_in(url: str, key: str, name: str, access: Access, config: Config) -> File:
    """Copy what a URL names into the job store; the back end copies by itself when it can.

    Raises:
        BadLocator: It cannot be read.
    """
    return _copied(url, key, name, access) or _streamed(url, key, name, access, config)


def _copied(url: str, key: str, name: str, access: Access, listed: Listed | None = None) -> File | None:
    """The file that the back end has copied by itself; None when it cannot."""
    size = access.store.copy_from(key, url, listed) if isinstance(access.store, CanCopy) else None
    return None if size is None else File(key, size, name)


def _streamed(url: str, key: str, name: str, access: Access, config: Config) -> File:
    scratch = access.scratch(name, access.tmp)
    try:
        with plugins.open_url(url, "rb", config) as stream, scratch.open("xb") as out:
            copy_stream(stream, out)
        return access.keep(scratch, key, name, take=True)
    finally:
        scratch.unlink(missing_ok=True)


def refer(url: str, key: str, name: str, config: Config) -> File:
    """A file that is read where it is; its key tells it from others and has no blob.

    Raises:
        BadLocator: There is no such file, or nothing tells its length.
    """
    found = [item.size for item in plugins.list_url(url, config) if not item.path]
    if not found:
        raise BadLocator(f"{url} names no file that could be read where it is; check the spelling")
    return File(key, found[0], name, source=url)


def take_in_folder(url: str, key: str, name: str, access: Access, config: Config, *, reference: bool) -> tuple[Directory, list[str]]:
    """Keep everything that lies under a URL as a directory.

    Args:
        url: The URL.
        key: What the keys of its files start with.
        name: What the directory is called.
        access: The way to the store.
        config: The options.
        reference: Whether files are read where they are.

    Returns:
        The directory, and the keys of what was stored for it.

    Raises:
        BadLocator: Nothing lies there, or something that cannot be a file in a folder.
    """
    listed = sorted(plugins.list_url(url, config))
    found = [item for item in listed if item.path]
    if not found:
        raise BadLocator(
            f"{url} is a file; import it with import_url, or what lies under it by {url}/" if listed else f"nothing lies under {url}; check the spelling"
        )
    for item in found:
        _check_path(item.path, url)
    files = [_referred(url, f"{key}/{number}", item) for number, item in enumerate(found)]
    if not reference:
        files = _take_in_all(files, found, access, config)
    entries = list(_entries(dict(zip((item.path for item in found), files, strict=True))))
    manifest = access.keep_content(encode_entries(entries), f"{key}/manifest", "manifest")
    stored = [manifest.key, *(file.key for file in files if not file.source)]
    return Directory(manifest, sum(file.size for file in files), name, len(files)), stored


def _referred(url: str, key: str, item: Listed) -> File:
    base = item.path.rpartition("/")[2]
    return File(f"{key}/{base}", item.size, base, source=below(url, item.path))


def _take_in_all(files: Sequence[File], found: Sequence[Listed], access: Access, config: Config) -> list[File]:
    """Keep files that are read where they are: first what the back end copies by itself, which holds nothing here, then the rest.

    Args:
        files: The files.
        found: What the listing told of each.
        access: The way to the store.
        config: The options.
    """

    def copied(item: tuple[File, Listed]) -> File:
        file, listed = item
        return _copied(file.source, file.key, file.name, access, listed) or file

    def streamed(file: File) -> File:
        return _streamed(file.source, file.key, file.name, access, config) if file.source else file

    if isinstance(access.store, CanCopy):
        files = each(access, copied, list(zip(files, found, strict=True)), _COPIES)
    return each(access, streamed, files)


def give_out(file: File, url: str, access: Access, config: Config) -> None:
    """Write a file to a URL, whole or not at all.

    Raises:
        BadLocator: Nothing installed writes there.
        CorruptBlob: The file is not what was written.
    """
    with access.open(file) as stream, plugins.open_url(url, "wb", config) as target:
        size = copy_stream(stream, target)
        if size != file.size:
            raise CorruptBlob(file.key, f"file '{file.name}' should have {count(file.size, 'byte')} and has {size:,}")


def give_out_folder(entries: list[Entry], url: str, access: Access, config: Config) -> None:
    """Write the files of a directory under a URL; symbolic links become what they lead to.

    Raises:
        BadLocator: Nothing installed writes there.
        UsageError: It holds a symbolic link to a folder, which such a place cannot have.
    """
    files = {entry.path: entry.file for entry in entries if entry.file is not None}
    for entry in entries:
        if entry.link:
            files[entry.path] = _led_to(entry, files)
    each(access, lambda item: give_out(item[1], below(url, item[0]), access, config), list(files.items()))


def below(url: str, path: str) -> str:
    """The URL of what lies at a path below the folder that a URL names."""
    return f"{url.rstrip('/')}/{quote(path)}"


def _entries(files: dict[str, File]) -> Iterator[Entry]:
    """Folders before what is in them."""
    made: set[str] = set()
    for path, file in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in made:
                if folder in files:
                    raise BadLocator(f"both {folder} and {path} are there; a folder cannot have the name of a file")
                made.add(folder)
                yield Entry(folder, 0o755)
        yield Entry(path, _READABLE, file)


def _check_path(path: str, url: str) -> None:
    for part in path.split("/"):
        try:
            check_name(part)
        except UsageError:
            raise BadLocator(f"{url} has something at {path!r} that cannot be a file in a folder; import the others one by one") from None


def _led_to(entry: Entry, files: dict[str, File]) -> File:
    import posixpath

    target = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link))
    if target not in files:
        raise UsageError(f"{entry.path} is a symbolic link to a folder, which cannot be written to a URL; write the directory to a path")
    return files[target]


