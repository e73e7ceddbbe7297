"""What the user told ssh about hosts: `~/.ssh/config` and `/etc/ssh/ssh_config`, as far as it says where and as whom a host is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
from toil_core.errors import BadOption, UsageError
from toil_core.sync_transport import Jump, jump_from

_FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one host.

    Args:
        address: Its true name.
        user: Whom to be there; empty when that is not said.
        port: Where it listens; None when that is not said.
        identities: Files of keys.
        jumps: The hosts on the way, the nearest first.
    """

    address: str
    user: str = ""
    port: int | None = None
    identities: tuple[Path, ...] = ()
    jumps: tuple[Jump, ...] = ()


def told_of(host: str) -> Told:
    """What the user's files say of a host, by the name or address that it was named by.

    Args:
        host: The name or address.

    Raises:
        UsageError: A file cannot be understood.
    """
    text = "\nHost *\n".join(_text(Path(name).expanduser()) for name in _FILES)
    try:
        found = paramiko.SSHConfig.from_text(text).lookup(host)
        jumps = found.get("proxyjump") or "none"
        return Told(
            found.get("hostname", host),
            found.get("user", ""),
            int(found["port"]) if "port" in found else None,
            tuple(Path(path).expanduser() for path in found.get("identityfile", ())),
            () if jumps.lower() == "none" else tuple(jump_from(text.strip().removeprefix("ssh://")) for text in jumps.split(",")),
        )
    except (paramiko.SSHException, ImportError, ValueError, BadOption) as error:
        raise UsageError(f"what ~/.ssh/config says of {host} cannot be used here: {error}; --transport ssh has ssh itself read it") from None


def way(jumps: Sequence[Jump]) -> list[Jump]:
    """The jump hosts, with those that the user's files put before the first of them.

    Args:
        jumps: The jump hosts, the nearest first.
    """
    found, seen = list(jumps), set()
    while found and found[0].host not in seen:
        seen.add(found[0].host)
        found = [*told_of(found[0].host).jumps, *found]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
