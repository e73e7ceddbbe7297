"""What stands for a file, or for a folder of files, in a workflow: small values that travel from job to job."""

from __future__ import annotations

from typing import Any

import msgspec

from toil_core.errors import CorruptBlob, NoSuchKey, UsageError
from toil_core.sizes import count
from toil_core.wire import keys


class File(msgspec.Struct, frozen=True):
    """A file in the job store. Give it to other jobs; read it with `job.files`.

    Args:
        key: The key of its blob.
        size: Its length in bytes.
        name: What it is called where it is read, suffix included.
        executable: Whether it may be executed where it is read.
        crc: The CRC-32 of its content; None when its content never passed through this program.
        source: The URL where it is read; empty for a file whose content is in the job store.
    """

    key: str
    size: int
    name: str
    executable: bool = False
    crc: int | None = None
    source: str = ""


class Directory(msgspec.Struct, frozen=True):
    """A folder of files in the job store. Give it to other jobs; read it with `job.files`.

    Args:
        manifest: The file that tells what is in it.
        size: The length of all its files in bytes.
        name: What it is called where it is read.
        count: How many files it has.
    """

    manifest: File
    size: int
    name: str
    count: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What a directory has at one path: a file, a symbolic link, or a folder when it is neither.

    Args:
        path: Where, with `/` between the parts.
        mode: Its permissions.
        file: The file that it is.
        link: What the link that it is says.
    """

    path: str
    mode: int
    file: File | None = None
    link: str = ""


_entries = msgspec.msgpack.Decoder(list[Entry])


def encode_entries(entries: list[Entry]) -> bytes:
    """The content of a manifest."""
    return msgspec.msgpack.encode(entries)


def decode_entries(data: bytes, manifest: File) -> list[Entry]:
    """What a manifest says; folders come before what is in them.

    Raises:
        CorruptBlob: It is none, or a path in it leads out of the directory.
    """
    try:
        entries = _entries.decode(data)
    except msgspec.MsgspecError as error:
        raise CorruptBlob(manifest.key, f"'{manifest.name}' does not tell what is in a directory ({error})") from error
    links: set[str] = set()
    for entry in entries:
        parts = entry.path.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if not set(parts).isdisjoint(("", ".", "..")) or "\0" in entry.path or above & links:
            raise CorruptBlob(manifest.key, f"'{manifest.name}' names {entry.path!r}, which is no path inside a directory")
        if entry.link:
            links.add(entry.path)
    return entries


def check_file(value: Any) -> None:
    """Make sure that a value is a file of a workflow.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(value, File):
        raise UsageError(f"{value!r} is no File; files come from files.write, files.create and files.import_url")
    if not value.key.startswith(keys.FILES) or ".." in value.key.split("/"):
        raise UsageError(f"'{value.key}' is not the key of a file")
    check_name(value.name)


def check_name(name: str) -> None:
    """Make sure that a name can be a file's.

    Raises:
        UsageError: It cannot.
    """
    if not name or name in (".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > 200:
        raise UsageError(f"{name!r} cannot be the name of a file: it must be printable, without /, and at most 200 bytes")


def gone(file: File) -> NoSuchKey:
    """The error of a file that was deleted."""
    return NoSuchKey(file.key, f"file '{file.name}' is no longer in the job store; was it deleted?")


def check_content(file: File, size: int, crc: int | None = None) -> None:
    """Make sure that what was read is what was written.

    Raises:
        CorruptBlob: Its size is another, or its checksum is.
    """
    if size != file.size:
        raise CorruptBlob(file.key, f"file '{file.name}' should have {count(file.size, 'byte')} and has {size:,}")
    if crc is not None and file.crc is not None and crc != file.crc:
        raise CorruptBlob(file.key, f"file '{file.name}' has another content than was written: its CRC-32 is {crc:08x}, not {file.crc:08x}")
