"""The transport `ssh`: OpenSSH and rsync, as installed on this machine and on the nodes, with one shared connection to each node."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from toil_core.drivers import ssh_verdicts
from toil_core.drivers.ssh_config import bracketed, environment
from toil_core.drivers.ssh_connection import Connection, Folder, shared
from toil_core.drivers.ssh_verdicts import IN_THE_WAY, NO_RSYNC
from toil_core.errors import CannotCopy, Transient
from toil_core.options import Config
from toil_core.provisioner import Node
from toil_core.relays import relay
from toil_core.sync_transport import Place, SyncTransport, TransportOptions, not_done

_VANISHED = 24
"""rsync's exit code when files went away meanwhile."""
_NO_SESSION = b"mux_client_request_session: session request failed: Session open refused by peer\r\n"
"""What ssh says where a node allows fewer sessions, before it connects anew for the command."""
_OWN = b"\0toil-exit-255\0"
_RUN = r"""sh -c '"$@"; c=$?; [ $c -ne 255 ] || printf "\0toil-exit-255\0" >&2; exit $c' sh """
"""Tells an exit code of 255 from ssh's own, which means that the connection was lost."""
_SHELL = r"""exec sh -c 'trap : INT QUIT; "$@"; exit $?' sh """
"""Leaves Ctrl-C to the command alone, and has an exit code also when a signal ended that."""

_LOOK = 'readlink -fz -- "$1" || exit 1; if [ -d "$1" ]; then printf folder; elif [ -f "$1" ]; then printf file; fi'
_HEAD = f"command -v rsync >/dev/null || {{ echo {NO_RSYNC} >&2; exit 1; }}; p=$1; shift; fail() {{ echo {IN_THE_WAY} >&2; exit 1; }}; "
_TAIL = 'n=$#; while [ $n -gt 1 ]; do a=$1; shift; set -- "$@" "$a"; n=$((n - 1)); done; shift; exec rsync "$@" "$0"'
"""Puts the true path in the place of rsync's last argument: so no shell and no rsync looks for patterns in it."""
_TO_FOLDER = _HEAD + '[ -d "$0" ] || { rm -f -- "${0%/}" && mkdir -p -- "$0"; } || fail; ' + _TAIL
_TO_FILE = _HEAD + 'mkdir -p -- "$p" || fail; if [ -L "$0" ]; then rm -f -- "$0"; elif [ -d "$0" ]; then rmdir -- "$0" || fail; fi; ' + _TAIL
_TO_FILE_ANYWAY = _TO_FILE.replace("rmdir --", "rm -rf --")
_FROM = _HEAD + 'cd -- "$0" || fail; exec rsync "$@"'
"""What runs on the node instead of rsync: makes place for the target `$0` in its folder `$1`, or goes to the source `$0`; then is rsync."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What is copied, as errors name it.

    Args:
        source: From where.
        target: To where.
        pushed: Whether it goes to the node.
    """

    source: str
    target: str
    pushed: bool


class SshTransport(SyncTransport):
    """Reaches nodes by the programs ssh and rsync.

    Args:
        config: The options.

    Raises:
        Unreachable: There is no ssh on this machine.
    """

    def __init__(self, config: Config) -> None:
        self._options = config[TransportOptions]
        ssh = shutil.which("ssh")
        if ssh is None:
            raise ssh_verdicts.no_ssh()
        self._ssh = ssh
        self._lock = threading.Lock()
        self._folder: Folder | None = None
        self._numbers = count(1)
        self._connections: dict[Place, Connection] = {}

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        connection = self._connected(node)
        with connection.slots:
            words = connection.words(_RUN + shlex.join(command))
            try:
                done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout, env=environment(), check=False)
            except subprocess.TimeoutExpired:
                raise not_done(node, command, timeout) from None
        done.stderr = done.stderr.removeprefix(_NO_SESSION)
        if done.returncode == 255:
            if not done.stderr.endswith(_OWN):
                raise Transient(f"node {node.name}: the connection was lost: {done.stderr.decode(errors='replace').strip()}")
            done.stderr = done.stderr.removesuffix(_OWN)
        return CompletedProcess(command, done.returncode, done.stdout, done.stderr)

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        real = Path(os.path.realpath(source))
        folder = real.is_dir()
        if not folder and not real.is_file():
            raise CannotCopy(f"there is no file or folder {source}")
        script = _TO_FOLDER if folder else _TO_FILE_ANYWAY if delete else _TO_FILE
        local = f"{real}/" if folder else str(real)
        self._rsync(node, script, _dotted(target, folder), local, Copied(str(source), str(target), pushed=True), ["--delete"] if delete else [])

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        found = self.run(node, ["sh", "-c", _LOOK, "sh", _dotted(source, False)])
        path, _, kind = found.stdout.rpartition(b"\0")
        if found.returncode or kind not in (b"folder", b"file"):
            raise CannotCopy(f"node {node.name}: there is no file or folder {source}")
        real = os.fsdecode(path)
        copied = Copied(str(source), str(target), pushed=False)
        try:
            _make_room(target, kind == b"folder", delete)
            if kind == b"folder":
                self._rsync(node, _FROM, real, f"{os.path.abspath(target)}/", copied, ["--delete"] if delete else [])
            else:
                self._pull_file(node, real, target, copied)
        except OSError as error:
            raise CannotCopy(f"node {node.name}: {source} cannot be copied to {target}: {error.filename}: {error.strerror}") from None

    def _pull_file(self, node: Node, source: str, target: Path, copied: Copied) -> None:
        """Fetch one file, by way of a folder of its own in which rsync finds what is there of it already."""
        parent, _, name = source.rpartition("/")
        with tempfile.TemporaryDirectory(prefix=".toil-", dir=target.parent) as folder:
            place = Path(folder, name)
            with suppress(FileNotFoundError):
                os.link(target, place)
            self._rsync(node, _FROM, parent or "/", f"{folder}/", copied, [f"--include=/{_literal(name)}", "--exclude=*"])
            if not place.exists():
                raise CannotCopy(f"node {node.name}: there is no file or folder {copied.source}")
            os.replace(place, target)

    def shell(self, node: Node, command: Sequence[str] = ()) -> int:
        connection = self._connected(node)
        terminal = "-tt" if os.isatty(0) else "-T"
        words = [*connection.words()[:-1], terminal, *connection.words()[-1:], *([_SHELL + shlex.join(command)] if command else [])]
        with connection.slots:
            code = subprocess.call(words, env=environment(), stdin=0, stdout=1, stderr=2)
        if code == 255 and connection.control("check").returncode:
            raise Transient(f"node {node.name}: the connection was lost")
        return code

    @contextmanager
    def forward(self, node: Node, port: int, host: str = "localhost") -> Iterator[int]:
        connection = self._connected(node)
        with connection.forwarded(port, host) as near:

            def connect() -> socket.socket:
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(str(near))
                except OSError:
                    far.close()
                    raise
                return far

            with relay(connect) as local:
                yield local

    def rsync(self, node: Node, arguments: Sequence[str]) -> int:
        connection = self._connected(node)
        host = bracketed(self._options.place_of(node).address)
        words = [f"{host}{word}" if word.startswith(":") else word for word in arguments]
        with connection.slots:
            return subprocess.call([_program(), "-e", shared(connection.words()[:-1]), *words], env=environment(), stdin=0, stdout=1, stderr=2)

    def close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, {}
            folder, self._folder = self._folder, None
        for connection in connections.values():
            connection.close()
        if folder is not None:
            folder.close()

    def _connected(self, node: Node) -> Connection:
        place = self._options.place_of(node)
        with self._lock:
            if self._folder is None:
                self._folder = Folder()
            connection = self._connections.get(place)
            if connection is None:
                known = self._options.known_hosts() or self._folder.path / "known_hosts"
                base = self._folder.path / str(next(self._numbers))
                connection = self._connections[place] = Connection(self._ssh, place, self._options, base, known)
        connection.open()
        return connection

    def _rsync(self, node: Node, script: str, remote: str, local: str, copied: Copied, more: Sequence[str]) -> None:
        """Copy between the local path and the one on the node, which the script knows what to do with."""
        connection, place = self._connected(node), self._options.place_of(node)
        far = f"{bracketed(place.address)}:./"
        words = [
            _program(), "-rlpt", "--modify-window=-1", *more, "-e", shared(connection.words()[:-1]), f"--rsync-path={_remote(script, remote)}",
            "--", *((local, far) if copied.pushed else (far, local)),
        ]  # fmt: skip
        with connection.slots:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, env=environment(), check=False)
        if done.returncode not in (0, _VANISHED):
            said = done.stderr.decode(errors="replace")
            raise ssh_verdicts.copying(done.returncode, said, place, copied.source, copied.target, pushed=copied.pushed)


def _program() -> str:
    program = shutil.which("rsync")
    if program is None:
        raise ssh_verdicts.no_rsync()
    return program


def _remote(script: str, path: str) -> str:
    """The command that is rsync on the node; rsync's arguments follow."""
    return f"sh -c '{script}' {shlex.quote(path)} {shlex.quote(os.path.dirname(path) or '.')}"


def _dotted(path: PurePosixPath, folder: bool) -> str:
    """A path that looks like no option."""
    text = str(path) if path.is_absolute() else f"./{path}"
    return f"{text}/" if folder and not text.endswith("/") else text


def _literal(name: str) -> str:
    """A pattern of rsync's that only this name matches."""
    return re.sub(r"([*?\[\\])", r"\\\1", name) if re.search(r"[*?\[]", name) else name


def _make_room(target: Path, folder: bool, delete: bool) -> None:
    """Make the local folders above the target, and let nothing of another kind stand in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        if not target.is_dir() and os.path.lexists(target):
            target.unlink()
    elif target.is_symlink():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target) if delete else target.rmdir()
