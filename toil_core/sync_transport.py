"""The sync transport contract: reach into a node, run a command there, copy there and back.

Nodes run Linux. A relative path on a node starts at the home of the node's user, which is also where commands start. Nothing of
this process's environment reaches a node.
"""

from __future__ import annotations

import re
import threading
import time
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from toil_core.closing import Closing
from toil_core.errors import BadOption, KeyRefused, Transient, Unreachable
from toil_core.options import Group, option
from toil_core.sizes import parse_waiting_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import PurePosixPath
    from subprocess import CompletedProcess

    from toil_core.provisioner import Node

_JUMP = re.compile(r"(?:(?P<user>[\w.+-]+)@)?(?P<host>[A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII)


class SyncTransport(Closing):
    """Three primitives, for many nodes and from many threads at once.

    A call connects if it must, in one attempt of at most `TransportOptions.connect_timeout`, and later calls to the same node share
    the connection. Waiting for a node that boots is the caller's: see `wait_for_node`.

    Host keys are always checked. Where the node brings some (`Node.host_keys`), the host must have one of them. Otherwise the key of
    the first contact is kept under the node's name, in `TransportOptions.ssh_known_hosts`, and no other is accepted from then on.

    Every method raises:
        Transient: The node does not answer (yet), or the connection was lost: a command that ran may or may not go on there.
        Unreachable: It will not do as things are: no program to do it with here or there, a name that nobody knows.
        KeyRefused: The node does not let this user in with these keys.
        HostKeyChanged: The host is not the one that was reached before, or that its cloud told of.
    """

    @abstractmethod
    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        """Run a command on the node to its end; its exit code is the caller's to judge.

        Each word arrives as it is, whatever characters it has; no shell looks at it. The command has no terminal. It ends with its
        output: what is left running there must have its output elsewhere.

        Args:
            node: Where.
            command: The program, found by the node's own PATH, and its arguments.
            stdin: What it may read; bytes that it does not read are dropped.
            timeout: Seconds after which it is given up, with `Transient`; None for never. What it started may go on.

        Returns:
            Its exit code (128 and the signal's number when a signal ended it, 127 when there is no such program, 126 when it cannot
            be executed), and all that it wrote to stdout and to stderr.
        """

    @abstractmethod
    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        """Make target on the node what the local source is, sending only files that differ.

        A file becomes the file `target`, and a folder becomes the folder `target`: neither is put inside of a target that exists.
        Missing folders above the target are made. Contents, permission bits and times of modification are copied, owners are not.
        Links inside of a folder are copied as links; a source that is itself a link stands for what it points to. Devices,
        sockets and pipes are left out. Files of one size that were changed at different times, or within the same second, are
        told apart. Each file appears whole: whoever has the old one open keeps it.

        Args:
            node: Where to.
            source: A file or a folder.
            target: Its path on the node.
            delete: Whether to remove from a folder what the source does not have. Without it, nothing is removed, and a folder
                that is not empty is not replaced by a file.

        Raises:
            CannotCopy: The source is missing or cannot be read, the target cannot be written, a folder is in the way.
            NodeFull: No space is left on the node.
        """

    @abstractmethod
    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        """Make the local target what source on the node is, fetching only files that differ: `push` the other way round.

        Raises:
            CannotCopy: The source is missing or cannot be read, the target cannot be written, a folder is in the way, this disk is full.
        """

    def close(self) -> None:
        """Let go of connections, and of every file and process that served them."""


@runtime_checkable
class HasShell(Protocol):
    """A transport that can hand the user's terminal to a node."""

    def shell(self, node: Node, command: Sequence[str] = ()) -> int:
        """Run a command, or a login shell, on this process's stdin, stdout and stderr.

        The command has a terminal when stdin is one. Words are as in `run`.

        Returns:
            Its exit code.
        """
        ...


@runtime_checkable
class CanForward(Protocol):
    """A transport that can make a node's port appear on this machine."""

    def forward(self, node: Node, port: int, host: str = "localhost") -> AbstractContextManager[int]:
        """While open, the node's port answers on the local port (of 127.0.0.1 only) that is given.

        Args:
            node: Through which node.
            port: What it connects to.
            host: Where, as seen from the node.
        """
        ...


@runtime_checkable
class CanRsync(Protocol):
    """A transport that rsync can use."""

    def rsync(self, node: Node, arguments: Sequence[str]) -> int:
        """Run rsync with these arguments on this process's stdin, stdout and stderr.

        Args:
            node: The remote side.
            arguments: rsync's own; paths on the node begin with `:`.

        Returns:
            Its exit code.
        """
        ...


def wait_for_node(
    transport: SyncTransport,
    node: Node,
    seconds: float,
    *,
    grace: float = 60.0,
    give_up: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the node can run commands: for a node that boots.

    Waits between attempts grow from a quarter of a second to four.

    Args:
        transport: The way in.
        node: Where.
        seconds: For how long it is tried.
        grace: For how long a refused key is tried again: a host may answer before its boot has brought the key in.
        give_up: Set by another thread to end the wait.
        clock: Seconds of a clock that does not go back.

    Raises:
        Transient: It did not answer in time; the message is that of the last attempt.
        Unreachable: As any call; at once, but for a refused key.
    """
    deadline, pause, refused = clock() + seconds, 0.25, False
    while True:
        try:
            if transport.run(node, ["true"], timeout=max(seconds, 1.0)).returncode == 0:
                return
            raise Transient(f"node {node.name} runs no commands yet")
        except (Transient, KeyRefused) as error:
            if isinstance(error, KeyRefused) and not refused:
                refused, deadline = True, min(deadline, clock() + grace)
            if clock() + pause > deadline or (give_up or threading.Event()).wait(pause):
                raise
            pause = min(1.5 * pause, 4.0)


def not_done(node: Node, command: Sequence[str], seconds: float | None) -> Transient:
    """What a transport raises of a command that was not done in time: one line, however long the command is."""
    words = " ".join(" ".join(command).split())
    return Transient(f"node {node.name}: {words if len(words) <= 60 else f'{words[:59]}…'} was not done in {seconds or 0:g} s")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is reached over SSH.

    Args:
        name: The node's name.
        address: What is connected to.
        port: Where its server listens.
        user: Whom to be there; empty for who one is here.
        keys: The host keys that count; empty when the first contact decides.
    """

    name: str
    address: str
    port: int
    user: str
    keys: tuple[str, ...]

    def another_answers(self, known: Path | str | None) -> str:
        """What to say, and what to do, when a host shows another key than it should.

        Args:
            known: The file that has the key of before; None when it was only kept in mind.
        """
        if self.keys:
            return "another host answers: its key is not the one that its cloud told of; find out why before anything is sent there"
        next = f"; if the host was made anew, `ssh-keygen -R {self.name} -f {known}` forgets the old key" if known else ""
        return f"another host answers: its key is not the one known from earlier, in {known or 'this process'}{next}"


@dataclass(frozen=True, slots=True)
class Jump:
    """A host that connections go through.

    Args:
        host: Its name or address.
        user: Whom to be there; empty for who one is here.
        port: Where it listens.
    """

    host: str
    user: str = ""
    port: int = 22


def parse_jump(text: str) -> str:
    """`[USER@]HOST[:PORT]`, with an IPv6 address between brackets.

    Raises:
        BadOption: It is something else.
    """
    jump_from(text)
    return text


def jump_from(text: str) -> Jump:
    """The jump host that a text names.

    Raises:
        BadOption: It names none.
    """
    found = _JUMP.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        raise BadOption(f"{text!r} is no jump host; write HOST, USER@HOST or USER@HOST:PORT")
    return Jump(found["host"].strip("[]"), found["user"] or "", int(found["port"] or 22))


def parse_user(text: str) -> str:
    """The name of a user on a node.

    Raises:
        BadOption: No user has such a name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][\w.+-]{0,63}", text, re.ASCII):
        raise BadOption(f"{text!r} is no name of a user")
    return text


def parse_port(text: str) -> int:
    """A port.

    Raises:
        BadOption: It is no number from 1 to 65535.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 0 < int(text) < 65536:
        raise BadOption(f"{text!r} is no port; write a number from 1 to 65535")
    return int(text)


def parse_setting(text: str) -> str:
    """`NAME=VALUE`, as after ssh's `-o`, or one of ssh's flags, such as `-v`; what would weaken the checks of hosts is refused.

    Raises:
        BadOption: It is neither, or is refused.
    """
    setting = text[2:].strip() if text.startswith("-o") else text
    name, equals, value = (part.strip() for part in setting.partition("="))
    if not re.fullmatch(r"-(?:[46ACXYagkKqvx]|vv|vvv|[DLRbcmI].+)", setting) and not (equals and value and re.fullmatch(r"[A-Za-z0-9]+", name)):
        raise BadOption(f"{text!r} is no setting of ssh; write NAME=VALUE, ServerAliveInterval=10 for example, or a flag such as -v")
    if re.search(r"[\0\r\n\"]", text):
        raise BadOption(f"{text!r} has a quote or the end of a line in it")
    if name.lower() in _KEPT:
        raise BadOption(f"{name} is kept as it is, so that hosts are checked and connections are shared{_KEPT[name.lower()]}")
    return setting


_KEPT = {
    **dict.fromkeys(("stricthostkeychecking", "hostkeyalias", "nohostauthenticationforlocalhost", "verifyhostkeydns", "knownhostscommand"), ""),
    **dict.fromkeys(("globalknownhostsfile", "updatehostkeys", "batchmode", "hostname", "controlmaster", "controlpath", "controlpersist"), ""),
    **dict.fromkeys(("sendenv", "setenv", "remotecommand", "requesttty", "include", "match", "host"), ""),
    "userknownhostsfile": "; see --ssh-known-hosts",
    "user": "; see --ssh-user",
    "port": "; see --ssh-port",
    "identityfile": "; see --ssh-identity",
    "proxyjump": "; see --ssh-jump",
    "connecttimeout": "; see --connect-timeout",
}


@dataclass(frozen=True)
class TransportOptions:
    """How nodes are reached; the names of files with keys, never what is in them."""

    transport: str | None = option(None, "Way into nodes; what suits the provisioner if not given. `toil plugins` lists the names.")
    node_address: Literal["auto", "public", "private"] = option(
        "auto", "Which address of a node to use; auto is the private one behind jump hosts or where there is no other, else the public one."
    )
    connect_timeout: float = option(10.0, "How long an attempt to connect to a node may take.", parse=parse_waiting_time)
    node_deadline: float = option(600.0, "How long a node that boots may take until it can be reached.", parse=parse_waiting_time)
    ssh_user: str | None = option(None, "Whom to be on nodes, instead of the user that the provisioner names.", parse=parse_user)
    ssh_identity: tuple[str, ...] = option((), "File of a private key to log in with; the agent's keys and the usual files if not given.")
    ssh_known_hosts: str | None = option(None, "File with the host keys of nodes, by the nodes' names; the cluster's own if not given.")
    ssh_jump: tuple[str, ...] = option((), "Go through this host, [USER@]HOST[:PORT]; through several, the nearest first.", parse=parse_jump)
    ssh_port: int | None = option(None, "Port of nodes that have no other than the usual one.", parse=parse_port)
    ssh_option: tuple[str, ...] = option((), "A setting for ssh, NAME=VALUE, or one of its flags (--ssh-option=-v).", parse=parse_setting)
    local_nodes: str | None = option(None, "Folder of the nodes of transport local: a folder for each, by name.")

    def place_of(self, node: Node) -> Place:
        """Where to reach the node, and as whom.

        Raises:
            Transient: It has no such address (yet).
            BadOption: Its name, its address or its user is none.
        """
        port = self.ssh_port if self.ssh_port is not None and node.port == 22 else node.port
        place = Place(node.name, self._address_of(node), port, self.ssh_user or node.user, node.host_keys)
        for what, text in (("name", place.name), ("address", place.address), ("user", place.user or "x")):
            if not re.fullmatch(r"[A-Za-z0-9_:][\w.:%+-]*", text, re.ASCII):
                raise BadOption(f"node {node.name!r} has a {what} that cannot be used: {text!r}")
        return place

    def identities(self) -> list[Path]:
        """The files of keys that were given.

        Raises:
            Unreachable: There is no file at one of the paths.
        """
        paths = [Path(path).expanduser().absolute() for path in self.ssh_identity]
        for path in paths:
            if not path.is_file():
                raise Unreachable(f"--ssh-identity: there is no key at {path}")
        return paths

    def known_hosts(self) -> Path | None:
        """The file of host keys, if one was given."""
        return Path(self.ssh_known_hosts).expanduser().absolute() if self.ssh_known_hosts else None

    def jumps(self) -> list[Jump]:
        """The hosts to go through, the nearest first."""
        return [jump_from(text) for text in self.ssh_jump]

    def _address_of(self, node: Node) -> str:
        public, private = node.public_address, node.private_address
        if self.node_address == "auto":
            chosen = private or public if self.ssh_jump else public or private
        else:
            chosen = public if self.node_address == "public" else private
        if not chosen:
            kind = "" if self.node_address == "auto" else f"{self.node_address} "
            raise Transient(f"node {node.name} has no {kind}address yet")
        return chosen


GROUP = Group("transport", TransportOptions)
