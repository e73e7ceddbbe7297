"""A host's hold on one fork server: starting it, talking to it, noticing its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toil_core.wire.work import Setup
from toil_core.worker import messages, procfs
from toil_core.worker.messages import Batch, Ended, Interrupt, Kill, Left, Lost, Open, Ready, Results, Said

_MAIN = "from toil_core.worker.lean import begin; begin(); from toil_core.worker.forkserver import main; main({fd})"


class ServerProcess:
    """A fork server. None of its methods waits for it.

    Args:
        run: The host's folder.
        number: Which of the host's fork servers this is.
        store: Locator of the job store.
        setup: What workers must know of the workflow.
        tolerance: By what share of its request an attempt may exceed its memory.
        keep_logs: Whether what successful attempts print is kept.
        cache: Folder of the node's cache; empty when there is none.
        live: Whether what jobs tell the user can be passed on while they run.
    """

    def __init__(self, run: Path, number: int, store: str, setup: Setup, tolerance: float, keep_logs: bool, cache: str, live: bool = False) -> None:
        self.folder = run / str(number)
        self.folder.mkdir(mode=0o700)
        self.log = self.folder / "log"
        self._outbox: deque[bytes] = deque()
        self._buffer = bytearray(messages.LARGEST)
        self._spilled = 0
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * messages.INLINE)
        self.sock.setblocking(False)
        environment = {**os.environ, **setup.environment, procfs.MARK: str(self.folder), "TMPDIR": str(self.folder)}
        environment.setdefault("LD_BIND_NOW", "toil")  # else every attempt looks up the C library's functions anew
        with theirs, open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN.format(fd=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.death = os.pidfd_open(self.process.pid)
        self.send(Open(str(run), str(self.folder), store, setup, tolerance, keep_logs, cache, live))

    @property
    def blocked(self) -> bool:
        """Whether messages wait for room in the socket."""
        return bool(self._outbox)

    def send(self, message: Open | Batch | Kill | Interrupt) -> None:
        """Send the message, or keep it until there is room."""
        self._spilled += 1
        self._outbox.append(messages.pack(messages.encode(message), f"{self.folder}/message-{self._spilled}"))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._outbox:
            try:
                self.sock.send(self._outbox[0])
            except BlockingIOError:
                return
            except OSError:  # it is dead; its pidfd tells
                self._outbox.clear()
                return
            self._outbox.popleft()

    def receive(self) -> Iterator[Ready | Results | Ended | Left | Lost | Said]:
        """What it and its attempts said since the last call."""
        view = memoryview(self._buffer)
        while True:
            try:
                size = self.sock.recv_into(self._buffer)
            except OSError:
                return
            if not size:
                return
            try:
                message = messages.to_host.decode(messages.unpack(view[:size]))
            except (msgspec.MsgspecError, OSError):  # an attempt wrote to a socket that is not its own
                continue
            yield message

    def ending(self) -> str:
        """How it ended, in a line; for one that has."""
        code = self.process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return f"the fork server ended {how}" + (f": {lines[-1]}" if lines else "")

    @property
    def killed(self) -> bool:
        """Whether it has ended, and not through anything that it did itself."""
        return self.process.poll() == -signal.SIGKILL

    def hang_up(self) -> None:
        """Tell it to end, with everything that it started."""
        self.sock.close()

    def bury(self) -> None:
        """End it, if need be, and everything that it started, and remove its folder."""
        from toil_core.worker import folders

        self.sock.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.death)
        procfs.end_all(str(self.folder))
        folders.remove(str(self.folder))
