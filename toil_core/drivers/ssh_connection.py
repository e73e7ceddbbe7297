"""One shared connection to a node: the ssh process that keeps it, and the folder of what ssh must find in files."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from toil_core.drivers import ssh_verdicts
from toil_core.drivers.ssh_config import bracketed, config_text, environment, flags, is_pinned
from toil_core.errors import Transient
from toil_core.open_files import is_at
from toil_core.sync_transport import Place, TransportOptions

SESSIONS = 4
"""Commands at a time on a connection. Servers usually allow ten sessions, of which one keeps it open, and sshd may count those that have just
ended until it has looked at all that came with the news of it: so the next ones of all four beside them."""
_PREFIX = "toil-ssh-"
_READY = b"toil-ready\n"
_HOLD = "echo toil-ready; exec cat >/dev/null"
"""What keeps a connection open: it ends when this process does, however that ends."""


class Folder:
    """A private folder with a short path, gone when closed; those of processes that were killed are removed by the next one."""

    def __init__(self) -> None:
        base = next(path for path in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp") if _is_fit(path))
        _sweep(Path(base))
        held = None
        while held is None:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            held = _hold(self.path)
        self._lock = held

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


class Connection:
    """A connection that commands share.

    Args:
        ssh: Path of the program.
        place: Where to.
        options: How.
        base: What its files' names begin with.
        known: The file of host keys.
    """

    def __init__(self, ssh: str, place: Place, options: TransportOptions, base: Path, known: Path) -> None:
        self._ssh, self._place, self._options = ssh, place, options
        self._config, self._socket, self._said = base.with_suffix(".conf"), base.with_suffix(".sock"), base.with_suffix(".err")
        self._known = base.with_suffix(".keys") if place.keys else known
        self._base, self._numbers = base, count(1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.slots = threading.BoundedSemaphore(SESSIONS)

    def words(self, *more: str) -> list[str]:
        """The command line of an ssh that uses the connection.

        Args:
            more: What comes after the host.
        """
        return [self._ssh, "-F", str(self._config), *flags(self._options), self._place.address, *more]

    def control(self, order: str, *more: str) -> subprocess.CompletedProcess[bytes]:
        """Have the process that keeps the connection do something."""
        words = [self._ssh, "-F", str(self._config), "-O", order, *more, self._place.address]
        return subprocess.run(words, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)

    @contextmanager
    def forwarded(self, port: int, host: str) -> Iterator[Path]:
        """While open, who connects to the socket at the path that is given reaches a port beyond the node.

        A path is ours alone; a port that was free may be another's by the time ssh listens at it.

        Args:
            port: What it connects to.
            host: Where, as seen from the node.

        Raises:
            Transient: The connection was lost meanwhile.
        """
        near = self._base.with_suffix(f".{next(self._numbers)}")
        way = ("-L", f"{near}:{bracketed(host)}:{port}")
        done = self.control("forward", *way)
        if done.returncode:
            raise Transient(f"node {self._place.name}: port {port} cannot be forwarded: {done.stderr.decode(errors='replace').strip()}")
        try:
            yield near
        finally:
            with suppress(subprocess.TimeoutExpired):
                self.control("cancel", *way)
            near.unlink(missing_ok=True)

    def is_open(self) -> bool:
        """Whether the process that keeps it is there."""
        return self._process is not None and self._process.poll() is None

    def open(self) -> None:
        """Connect, unless it is connected.

        Raises:
            Transient: The node does not answer.
            Unreachable: It will not do as things are.
        """
        with self._lock:
            if not self.is_open():
                self._end()
                self._begin()

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._end()

    def _begin(self) -> None:
        self._write()
        with self._said.open("wb") as errors:
            process = subprocess.Popen(
                [*self.words()[:-1], "-T", "-o", "ControlMaster=yes", self._place.address, f"sh -c '{_HOLD}'"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment(), start_new_session=True,
            )  # fmt: skip
        self._process = process
        patience = self._options.connect_timeout * (1 + len(self._options.ssh_jump))
        answered = self._await_ready(process, time.monotonic() + patience + 1)
        if answered and process.poll() is None:
            return
        process.kill()
        process.wait()
        said = self._said.read_text(errors="replace")
        self._end()
        if not said and not answered:
            raise Transient(f"node {self._place.name} ({self._place.address}) does not answer: no word within {patience:g} s")
        raise ssh_verdicts.connection(said, self._place, self._options)

    def _write(self) -> None:
        """Write the files that ssh is told to read."""
        place = self._place
        if place.keys:
            self._known.write_text("".join(f"{place.name} {key}\n" for key in place.keys))
        elif not self._known.exists():
            self._known.parent.mkdir(parents=True, exist_ok=True)
            self._known.touch(0o600)
        strict = bool(place.keys) or is_pinned(self._known, place.name)
        self._config.write_text(config_text(place, self._options, known=self._known, strict=strict, socket=self._socket))

    def _await_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Whether the other side answered; False as well when the process ended."""
        assert process.stdout
        shown = b""
        while not (b"\n" + shown).endswith(b"\n" + _READY):  # a login may print something of its own before
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return False
            data = os.read(process.stdout.fileno(), 4096)
            if not data:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                return True
            shown = (shown + data)[-4096:]
        return True

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin and process.stdout
        process.stdin.close()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
        process.stdout.close()
        self._socket.unlink(missing_ok=True)


def _is_fit(path: str) -> bool:
    """Whether sockets in a folder there have paths that ssh can use: short and plain."""
    return 0 < len(path) <= 40 and path.replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum() and os.access(path, os.W_OK)


def _hold(path: Path) -> int | None:
    """A lock on a folder that was just made; None when another process took it for one that was left, and removed it."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if is_at(path, lock):
        return lock
    os.close(lock)
    return None


def _sweep(base: Path) -> None:
    """Remove the folders of processes that are no more."""
    for path in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_uid != os.getuid() or path.is_symlink():
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def shared(words: Sequence[str]) -> str:
    """A command line as rsync's `-e` takes it."""
    return " ".join(f"'{word}'" if " " in word else word for word in words)
