"""What ssh is told: the text of its configuration for one node, and of what it may see of this process's environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from toil_core.errors import BadOption
from toil_core.sync_transport import Jump, Place, TransportOptions

ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR", "TERM", "LANG", "LC_ALL", "TZ")
"""The variables of this process that ssh and rsync see: nothing that could be a secret."""

_PORT = 22
"""Where hosts listen of which nothing else is said."""
_USUAL = """\
Host *
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile {known} ~/.ssh/known_hosts
    ConnectTimeout {timeout}
    ConnectionAttempts 1
    ServerAliveInterval 5
    ServerAliveCountMax 3
    LogLevel ERROR
    ControlMaster no
    ControlPath none
    CheckHostIP no
    HashKnownHosts no
    UpdateHostKeys no
    VerifyHostKeyDNS no
    ForwardAgent no
    ForwardX11 no
    PermitLocalCommand no
    AddKeysToAgent no
    ExitOnForwardFailure yes
{identities}\
Include ~/.ssh/config
Include /etc/ssh/ssh_config
"""
"""For nodes and for the hosts on the way to them; what the user has for hosts in general counts below that."""


def config_text(place: Place, options: TransportOptions, *, known: Path, strict: bool, socket: Path) -> str:
    """The configuration with which ssh reaches a node by its address.

    Args:
        place: The node.
        options: How nodes are reached.
        known: The file of host keys.
        strict: Whether the node's key must be there already; else the first one is added to it.
        socket: Where the shared connection is.

    Raises:
        Unreachable: There is no key at a path that was given.
    """
    lines = [
        f"Host {place.address}",
        *(f"    {name} {value}" for name, value in map(_setting, options.ssh_option) if name),
        f"    HostName {place.address.replace('%', '%%')}",
        f"    Port {place.port}",
        *([f"    User {place.user}"] if place.user else []),
        f"    HostKeyAlias {place.name}",
        f"    UserKnownHostsFile {_quoted(known)}",
        "    GlobalKnownHostsFile none",
        f"    StrictHostKeyChecking {'yes' if strict else 'accept-new'}",
        f"    ControlPath {_quoted(socket)}",
        *([f"    ProxyJump {','.join(map(_hop, options.jumps()))}"] if options.ssh_jump else []),
        "",
    ]
    usual = _USUAL.format(known=_quoted(known), timeout=max(1, round(options.connect_timeout)), identities=_identities(options))
    return "\n".join(lines) + usual


def flags(options: TransportOptions) -> list[str]:
    """The flags of ssh among the settings that the user gave."""
    return [text for text in options.ssh_option if text.startswith("-")]


def bracketed(host: str) -> str:
    """A host as it stands before a colon: an IPv6 address between brackets."""
    return f"[{host}]" if ":" in host else host


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What ssh and rsync see of this process's environment."""
    environ = os.environ if environ is None else environ
    return {name: environ[name] for name in ENVIRONMENT if name in environ}


def is_pinned(known: Path, name: str) -> bool:
    """Whether the file has a host key under the name."""
    try:
        lines = known.read_text().splitlines()
    except OSError:
        return False
    return any(name in line.split(" ", 1)[0].split(",") for line in lines)


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return ("", "") if text.startswith("-") else (name.strip(), value.strip())


def _identities(options: TransportOptions) -> str:
    paths = options.identities()
    return "".join(f"    IdentityFile {_quoted(path)}\n" for path in paths) + ("    IdentitiesOnly yes\n" if paths else "")


def _hop(jump: Jump) -> str:
    user, port = f"{jump.user}@" if jump.user else "", f":{jump.port}" if jump.port != _PORT else ""  # the usual one leaves it to ~/.ssh/config
    return f"{user}{bracketed(jump.host)}{port}"


def _quoted(path: Path) -> str:
    text = os.fspath(path)
    if re.search(r'["\n\r\0\\]', text):
        raise BadOption(f"ssh cannot use a path with quotes, backslashes or ends of lines in it: {text!r}")
    return '"' + text.replace("%", "%%") + '"'
