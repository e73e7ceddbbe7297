"""What it means when ssh or rsync says no, in a line."""

from __future__ import annotations

import re

from toil_core.errors import CannotCopy, HostKeyChanged, KeyRefused, NodeFull, ToilError, Transient, Unreachable
from toil_core.sync_transport import Place, TransportOptions

NO_RSYNC = "toil-no-rsync"
"""What the node's side of a copy writes when it has no rsync."""
IN_THE_WAY = "toil-in-the-way"
"""What it writes when it cannot make the place for the target."""
_LOST = (10, 12, 30, 35, 255)
"""Exit codes of an rsync that lost the other side."""


def no_ssh() -> Unreachable:
    """There is no ssh here."""
    return Unreachable(
        "there is no ssh on this machine: install it (apt-get install openssh-client), or do without: pip install toil-ssh, and --transport paramiko"
    )


def no_rsync() -> Unreachable:
    """There is no rsync here."""
    return Unreachable("there is no rsync on this machine: install it (apt-get install rsync), or do without: pip install toil-ssh, and --transport paramiko")


def connection(said: str, place: Place, options: TransportOptions) -> ToilError:
    """Why there is no connection to a node.

    Args:
        said: What ssh wrote.
        place: The node.
        options: How it was tried.
    """
    node, line = f"node {place.name} ({place.address})", _last(said)
    if "HOST IDENTIFICATION HAS CHANGED" in said or "host key is known for" in said:
        return _host_key(said, place, options)
    if "Could not resolve hostname" in said:
        name = re.sub(r"(?s).*Could not resolve hostname ([^:\s]*).*", r"\1", said)
        if "Temporary failure" in said:
            return Transient(f"node {place.name}: the name {name} cannot be looked up now")
        return Unreachable(f"node {place.name}: nobody knows the name {name}")
    if "UNPROTECTED PRIVATE KEY FILE" in said:
        path = "".join(re.findall(r"Permissions \S+ for '(.*)' are too open", said)[:1])
        return KeyRefused(f"{node}: ssh does not use a key that others can read: chmod 600 {path}")
    if "Permission denied" in said or "Too many authentication failures" in said:
        return _refused(said, place, options)
    if "onfiguration option" in said or "keyword" in said or "Unable to negotiate" in said or "no such identity" in said.lower():
        return Unreachable(f"{node}: ssh says: {line}")
    return Transient(f"{node} does not answer: {line or 'the connection was lost'}")


def copying(code: int, said: str, place: Place, source: str, target: str, *, pushed: bool) -> ToilError:
    """Why a copy by rsync failed.

    Args:
        code: Its exit code.
        said: What it wrote to stderr.
        place: The node.
        source: What was copied.
        target: Where to.
        pushed: Whether it went to the node.
    """
    node = f"node {place.name} ({place.address})"
    if NO_RSYNC in said:
        return Unreachable(f"{node} has no rsync: install it there (apt-get install rsync), or use --transport paramiko, which needs none")
    if re.search(r"No space left on device|Disk quota exceeded", said):
        return NodeFull(f"{node}: no space left for {target}") if pushed else CannotCopy(f"no space left on this machine for {target}")
    if IN_THE_WAY in said:
        return CannotCopy(f"{node}: {source} cannot be copied to {target}: {_reason(said)}")
    if code in _LOST:
        return Transient(f"{node}: the connection was lost while {source} was copied: {_last(said)}")
    return CannotCopy(f"{node}: {source} cannot be copied to {target}: {_reason(said)}")


def _host_key(said: str, place: Place, options: TransportOptions) -> ToilError:
    alias = "".join(re.findall(r"host key (?:for|is known for) (\S+)", said)[:1])
    if alias not in ("", place.name):
        if "HAS CHANGED" in said:
            return HostKeyChanged(f"node {place.name}: the jump host {alias} has another key than known_hosts says: it may not be the host that it was")
        return Unreachable(f"node {place.name}: the key of the jump host {alias} is not known: connect to it once with ssh, and check it")
    return HostKeyChanged(f"node {place.name} ({place.address}): {place.another_answers(options.ssh_known_hosts)}")


def _refused(said: str, place: Place, options: TransportOptions) -> KeyRefused:
    who = "".join(re.findall(r"(\S+@\S+): Permission denied", said)[:1])
    host = f"node {place.name} ({place.address})" if not who or who.endswith(f"@{place.address}") else f"node {place.name}: jump host {who.partition('@')[2]}"
    user = who.partition("@")[0] or place.user or "the user"
    keys = " or ".join(options.ssh_identity) if options.ssh_identity else "the agent's keys and the usual files"
    broken = "".join(re.findall(r"(Load key .*)", said)[:1]).strip()
    why = f"; {broken}" if broken else "; see --ssh-user and --ssh-identity, and unlock a key that has a passphrase with ssh-add"
    return KeyRefused(f"{host} does not let {user} in with {keys}{why}")


def _reason(said: str) -> str:
    """The line that says most: the first that is no summary."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    best = [line for line in lines if not re.match(r"rsync error|rsync: connection unexpectedly|toil-|rsync: \[\w+\] write error|$", line)]
    return (best or lines or ["it is not told why"])[0]


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    plain = [line for line in lines if not re.match(r"(kex_exchange_identification|Connection closed by UNKNOWN|rsync error|.*terminating, \d+ bad config)", line)]
    return (plain or lines or [""])[-1]
