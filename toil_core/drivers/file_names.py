"""How the file job store names its files: any key becomes a short relative path, and back.

A folder costs ten times a file, so a key's parts are not folders of their own. The first part
is a folder; the others are joined by `,` into one file name: `commits/1-42/000000` lies in
`commits,/1-42,000000`. User files keep the key's last part as their name, for tools that look
at it: `files/1-42/0.7/reads.fastq` lies in `files,/1-42,0.7,/reads.fastq`. A folder's name
ends with `,`, which stands for `/`, so a key and its continuation never meet. What would
confuse is escaped by `%` and two digits; a name too long for a file system goes on in a
folder, and `%+` marks where it was cut.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from toil_core.job_store import check_key

KEEPS_NAME = "files"
_LONGEST = 255
_PIECE = 240


def encode(key: str) -> bytes:
    """The relative path of a key's file.

    Raises:
        BadKey: No blob can have the key.
    """
    first, *rest = check_key(key)
    if "%" in key or "," in key or "." in key:
        first, rest = _escaped(first), [_escaped(part, at == 0) for at, part in enumerate(rest)]
    if not rest:
        path = first
    elif first == KEEPS_NAME and len(rest) > 1:
        last = "%2E" + rest[-1][1:] if rest[-1].startswith(".") else rest[-1]
        path = f"{first},/{','.join(rest[:-1])},/{last}"
    else:
        path = f"{first},/{','.join(rest)}"
    data = path.encode()
    return data if len(data) <= _LONGEST or _fits(data) else "/".join(_cut(name) for name in path.split("/")).encode()


def decode(name: bytes) -> str:
    """The piece of the key that a file's or folder's name stands for."""
    text = name.decode().removesuffix("%+").replace(",", "/")
    return re.sub("%(2C|25|2E)", lambda match: chr(int(match[1], 16)), text) if "%" in text else text


def walk(top: bytes, prefix: str) -> Iterator[tuple[bytes, str]]:
    """Path and key of every file below top whose key starts with the prefix.

    Folders that cannot hold such keys are not looked into. Each folder is read whole before
    its files are given, so that files may come and go meanwhile.
    """
    folders = [(top, "")]
    while folders:
        folder, start = folders.pop()
        wanted = prefix[len(start) :]
        for name, is_folder in _entries(folder):
            piece = decode(name)
            if is_folder:
                if piece.startswith(wanted) or wanted.startswith(piece):
                    folders.append((folder + b"/" + name, start + piece))
            elif piece.startswith(wanted):
                yield folder + b"/" + name, start + piece


def _entries(folder: bytes) -> list[tuple[bytes, bool]]:
    try:
        with os.scandir(folder) as entries:  # a leading dot is the file system's own, such as .nfs0001
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries if not entry.name.startswith(b".")]
    except FileNotFoundError:
        return []


def _escaped(part: str, starts_name: bool = True) -> str:
    part = part.replace("%", "%25").replace(",", "%2C")
    return "%2E" + part[1:] if starts_name and part.startswith(".") else part


def _fits(path: bytes) -> bool:
    return all(len(name) <= _LONGEST for name in path.split(b"/"))


def _cut(name: str) -> str:
    pieces, piece, size = [], "", 0
    for char in name:
        if size > _PIECE and not piece.endswith(("%", "%2")):
            pieces.append(piece)
            piece, size = "", 0
            char = "%2E" if char == "." else char
        piece, size = piece + char, size + len(char.encode())
    return "%+/".join([*pieces, piece])
