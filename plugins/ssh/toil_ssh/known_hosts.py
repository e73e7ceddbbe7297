"""Files of host keys, as ssh has them."""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from pathlib import Path

import paramiko


def keys_of(files: Iterable[Path], name: str) -> list[str]:
    """The keys that the files have for a name, `ssh-ed25519 AAAA...`; a file that is not there has none."""
    found: list[str] = []
    for file in files:
        if file.is_file():
            known = paramiko.HostKeys(str(file)).lookup(name) or {}
            found += [f"{kind} {key.get_base64()}" for kind, key in known.items()]
    return found


def add(file: Path, name: str, key: str) -> str:
    """Keep the first key of a name.

    Returns:
        The key that the file has now: another one when somebody was quicker.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        known = keys_of([file], name)
        if known:
            return key if key in known else known[0]
        stream.write(f"{name} {key}\n")
    return key
