"""One connection to a node, which commands and copies share."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import paramiko
from toil_core.errors import HostKeyChanged, KeyRefused, ToilError, Transient, Unreachable
from toil_core.sync_transport import Place, TransportOptions

from toil_ssh import known_hosts
from toil_ssh.user_config import told_of, way

COMMANDS, COPIES = 5, 4
"""How many at a time on a connection; servers usually allow ten sessions."""
_AGAIN = 0.1
"""Seconds after which a session that was refused is asked for again, if none of ours ends before."""
ANSWER = 60.0
"""Seconds that a node may take to begin a session."""
_ALIVE, _DEAD = 5, 15
"""Seconds between signs of life, and without an answer until a connection is lost."""
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it would print tracebacks of connections that end
_PORT = 22
_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")


class Connection:
    """A connection, made when it is needed, and anew when it was lost.

    Args:
        place: Where to.
        options: How.
        known: The file of host keys; None to keep them in memory.
    """

    def __init__(self, place: Place, options: TransportOptions, known: Path | None) -> None:
        self._place, self._options, self._known = place, options, known
        self._pinned: str | None = None
        self._lock = threading.Lock()
        self._hops: list[paramiko.Transport] = []
        self.commands, self.copies = threading.BoundedSemaphore(COMMANDS), threading.BoundedSemaphore(COPIES)
        self._ended = threading.Condition()

    def open(self) -> paramiko.Transport:
        """The connection, made if it must be.

        Raises:
            Transient: The node does not answer.
            Unreachable: It will not do as things are.
        """
        with self._lock:
            if not self._hops or not all(hop.is_active() for hop in self._hops):
                self._end()
                try:
                    self._connect()
                except BaseException:
                    self._end()
                    raise
            return self._hops[-1]

    @contextmanager
    def session(self, transport: paramiko.Transport, seconds: float) -> Iterator[paramiko.Channel]:
        """A session on the connection.

        It is asked for again where the node has as many as it allows: among them it may count for a moment some of ours that have just ended.

        Args:
            transport: The connection.
            seconds: For how long to ask.

        Raises:
            paramiko.SSHException: There is none.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                channel = transport.open_session(timeout=max(0.0, end - time.monotonic()))
                break
            except paramiko.SSHException:  # of several that are refused at the same time, the library tells only one that it was
                if not transport.is_active() or time.monotonic() + _AGAIN > end:
                    raise
                with self._ended:
                    self._ended.wait(_AGAIN)
        try:
            with channel:
                yield channel
        finally:
            with self._ended:
                self._ended.notify_all()

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._end()

    def _connect(self) -> None:
        of_node = told_of(self._place.address)
        for jump in way(self._options.jumps() or of_node.jumps):
            told = told_of(jump.host)
            host, user = told.address, jump.user or told.user or getpass.getuser()
            port = told.port if told.port is not None and jump.port == _PORT else jump.port
            title = f"node {self._place.name}: jump host {jump.host}"
            hop = self._hop(title, host, port)
            name = host if port == _PORT else f"[{host}]:{port}"
            self._check_jump(title, name, _public(hop.get_remote_server_key()))
            self._log_in(hop, title, user, told.identities)
        title = f"node {self._place.name} ({self._place.address})"
        hop = self._hop(title, self._place.address, self._place.port, self._expected())
        self._check(title, _public(hop.get_remote_server_key()))
        self._log_in(hop, title, self._place.user or of_node.user or getpass.getuser(), of_node.identities)

    def _hop(self, title: str, host: str, port: int, expected: Sequence[str] = ()) -> paramiko.Transport:
        """Begin to talk to the next host."""
        try:
            hop = paramiko.Transport(self._socket(host, port))
            self._hops.append(hop)
            hop.banner_timeout = hop.auth_timeout = self._options.connect_timeout
            security = hop.get_security_options()
            kinds = [key.split()[0] for key in expected]
            security.key_types = sorted(security.key_types, key=lambda kind: not any(kind in each or each in kind for each in kinds))
            hop.start_client(timeout=self._options.connect_timeout)
            if not hop.initial_kex_done:
                raise Transient(f"{title} does not answer: no word within {self._options.connect_timeout:g} s")
            hop.set_keepalive(_ALIVE)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise Transient(f"node {self._place.name}: the name {host} cannot be looked up now") from None
            raise Unreachable(f"node {self._place.name}: nobody knows the name {host}") from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise Transient(f"{title} does not answer: {_reason(error)}") from None
        return hop

    def _socket(self, host: str, port: int) -> socket.socket | paramiko.Channel:
        if self._hops:
            return self._hops[-1].open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=self._options.connect_timeout)
        made = socket.create_connection((host, port), self._options.connect_timeout)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD * 1000)
        return made

    def _expected(self) -> Sequence[str]:
        if self._place.keys:
            return self._place.keys
        if self._known is None:
            return (self._pinned,) if self._pinned else ()
        return known_hosts.keys_of([self._known], self._place.name)

    def _check(self, title: str, key: str) -> None:
        """Refuse another host than the one it should be; keep the key of the first contact."""
        expected = [" ".join(each.split()[:2]) for each in self._expected()]
        if not expected and self._known is not None:
            expected = [known_hosts.add(self._known, self._place.name, key)]
        self._pinned = self._pinned or key
        if expected and key not in expected:
            raise HostKeyChanged(f"{title}: {self._place.another_answers(self._known)}")

    def _check_jump(self, title: str, name: str, key: str) -> None:
        files = [*([self._known] if self._known else []), Path("~/.ssh/known_hosts").expanduser()]
        known = known_hosts.keys_of(files, name)
        if not known:
            raise Unreachable(f"{title}: its key is not known: connect to it once with ssh, and check it")
        if key not in known:
            raise HostKeyChanged(f"{title} has another key than known_hosts says: it may not be the host that it was")

    def _log_in(self, hop: paramiko.Transport, title: str, user: str, told: Sequence[Path]) -> None:
        said = ""
        with closing(self._keys(title, told)) as tried:
            for key in tried:
                try:
                    hop.auth_publickey(user, key)
                    return
                except paramiko.AuthenticationException as error:
                    said = _reason(error)
                    if not hop.is_active():
                        break
                except (OSError, EOFError, paramiko.SSHException) as error:
                    if not hop.is_active():
                        raise Transient(f"{title} does not answer: {_reason(error)}") from None
                    said = _reason(error)
        keys = " or ".join(self._options.ssh_identity) if self._options.ssh_identity else "the agent's keys and the usual files"
        hint = "see --ssh-user and --ssh-identity, and unlock a key that has a passphrase with ssh-add"
        raise KeyRefused(f"{title} does not let {user} in with {keys}; {hint}" + (f" ({said})" if "ailed" not in said and said else ""))

    def _keys(self, title: str, told: Sequence[Path]) -> Generator[paramiko.PKey, None, None]:
        """The keys to try: those of the files that were given, or the agent's; then those that ssh was told of, or the usual ones.

        The agent's also stand for given files that are locked.
        """
        given = self._options.identities()
        locked = []
        if not given:
            with closing(paramiko.Agent()) as agent:
                yield from agent.get_keys()
        for path in [*given, *told] or [Path("~/.ssh").expanduser() / name for name in _USUAL]:
            if not path.is_file():
                continue
            try:
                yield paramiko.PKey.from_path(path)
            except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
                if isinstance(error, paramiko.PasswordRequiredException) or "password" in str(error):
                    locked.append(path)
                elif path in given:
                    raise KeyRefused(f"{title}: {path} is no key that can be used: {_reason(error)}") from None
        if given and locked:
            public = {" ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2]) for path in locked if path.with_name(f"{path.name}.pub").is_file()}
            with closing(paramiko.Agent()) as agent:
                yield from (key for key in agent.get_keys() if _public(key) in public)

    def _end(self) -> None:
        hops, self._hops = self._hops, []
        for hop in reversed(hops):
            with suppress(OSError, EOFError):
                hop.close()


def lost(name: str, error: BaseException) -> ToilError:
    """A connection ended while it was used."""
    return Transient(f"node {name}: the connection was lost: {_reason(error)}")


def _public(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno and error.strerror:
        return os.strerror(error.errno) if error.errno > 0 else error.strerror
    return text or type(error).__name__
