"""The transport: commands, copies, terminals and ports over connections that are shared."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

import paramiko
from toil_core.errors import BadOption, ToilError, Transient
from toil_core.options import Config
from toil_core.provisioner import Node
from toil_core.relays import relay
from toil_core.sync_transport import Place, SyncTransport, TransportOptions, not_done

from toil_ssh.connection import ANSWER, Connection, lost
from toil_ssh.copying import Copier
from toil_ssh.terminal import converse

_RUN = """sh -c '"$@" </dev/null; exit $?' sh """
"""So that a command that a signal ended has an exit code, and that nothing need be sent to say that it has no input."""
_FEED = """sh -c '"$@"; code=$?; cat >/dev/null; exit $code' sh """
"""The same for one with input. It ends after that, as OpenSSH ends the whole connection when the end of the input comes to a command that is over."""
_SHELL = """exec sh -c 'trap : INT QUIT; "$@"; exit $?' sh """
"""The same on a terminal, where Ctrl-C is for the command alone."""
_CHUNK = 1 << 16


class ParamikoTransport(SyncTransport):
    """Reaches nodes over SSH by a library.

    Args:
        config: The options.

    Raises:
        BadOption: A setting for the program ssh was given.
    """

    def __init__(self, config: Config) -> None:
        self._options = config[TransportOptions]
        if self._options.ssh_option:
            raise BadOption("--ssh-option: the transport paramiko uses no ssh, so it takes no settings for it; --transport ssh does")
        self._known = self._options.known_hosts()
        self._lock = threading.Lock()
        self._connections: dict[Place, Connection] = {}

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        self._connection(node).open()
        end = None if timeout is None else time.monotonic() + timeout
        spent = threading.Event()
        try:
            with self._session(node, timeout) as channel, _closed_at(end, channel, spent):
                channel.exec_command(os.fsencode((_FEED if stdin else _RUN) + shlex.join(command)))
                code, out, err = _exchange(channel, stdin)
        except Transient:
            if end is None or time.monotonic() < end:
                raise
            spent.set()  # it broke off because the time was over, wherever it was
        if spent.is_set():
            raise not_done(node, command, timeout)
        if code < 0:
            raise Transient(f"node {node.name}: the connection was lost while {command[0]} ran")
        return CompletedProcess(command, code, out, err)

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        self._copier(node).push(source, target, delete=delete)

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        self._copier(node).pull(source, target, delete=delete)

    def shell(self, node: Node, command: Sequence[str] = ()) -> int:
        with self._session(node) as channel:
            code = converse(channel, _SHELL + shlex.join(command) if command else "")
        if code < 0:
            raise Transient(f"node {node.name}: the connection was lost")
        return code

    @contextmanager
    def forward(self, node: Node, port: int, host: str = "localhost") -> Iterator[int]:
        connection = self._connection(node)
        connection.open()

        def connect() -> paramiko.Channel:
            try:
                return connection.open().open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=30)
            except (paramiko.SSHException, EOFError, ToilError) as error:  # the last two: the connection was lost meanwhile
                raise OSError(str(error)) from error

        with relay(connect) as local:
            yield local

    def close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.close()

    def _connection(self, node: Node) -> Connection:
        place = self._options.place_of(node)
        with self._lock:
            return self._connections.setdefault(place, Connection(place, self._options, self._known))

    @contextmanager
    def _session(self, node: Node, timeout: float | None = None) -> Iterator[paramiko.Channel]:
        connection = self._connection(node)
        transport = connection.open()
        with connection.commands:
            try:
                with connection.session(transport, ANSWER if timeout is None else min(timeout, ANSWER)) as channel:
                    yield channel
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise lost(node.name, error) from None

    def _copier(self, node: Node) -> Copier:
        connection = self._connection(node)
        connection.open()
        return Copier(node, connection, lambda command, stdin: self.run(node, command, stdin))


@contextmanager
def _closed_at(end: float | None, channel: paramiko.Channel, spent: threading.Event) -> Iterator[None]:
    """Close the channel, and say so, if this is not left before that time."""
    if end is None:
        yield
        return
    timer = threading.Timer(max(0.0, end - time.monotonic()), _give_up, (channel, spent))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(channel: paramiko.Channel, spent: threading.Event) -> None:
    spent.set()
    channel.close()


def _exchange(channel: paramiko.Channel, stdin: bytes) -> tuple[int, bytes, bytes]:
    """The exit code, negative when it never came, and the two outputs of a command that was begun."""
    errors: list[bytes] = []
    drain = threading.Thread(target=_drain, args=(channel, errors), daemon=True)
    drain.start()
    if stdin:
        threading.Thread(target=_feed, args=(channel, stdin), daemon=True).start()
    out = b"".join(iter(lambda: channel.recv(_CHUNK), b""))
    drain.join()
    code = channel.recv_exit_status()
    return code, out, b"".join(errors)


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError):  # it reads no more
        return


def _drain(channel: paramiko.Channel, into: list[bytes]) -> None:
    while data := channel.recv_stderr(_CHUNK):
        into.append(data)
