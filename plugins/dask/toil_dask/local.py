"""A cluster of one node on this machine, for trying out: the same two programs as on a real cluster, ended with whoever started them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from toil_core.batch_system import Requirement
from toil_core.cluster_engine import EngineNode
from toil_core.errors import UsageError

from toil_dask import security
from toil_dask.engine import address, worker_command

HOST = "127.0.0.1"
NAME = "local"


class LocalCluster:
    """A scheduler and a worker, started again when they end.

    Raises:
        UsageError: The scheduler does not start.
    """

    def __init__(self, offer: Requirement) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="toil-dask-"))
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        (self.folder / "dask").mkdir(mode=0o700)
        for name, data in security.make_secrets("local").items():
            path = self.folder / "dask" / name
            path.touch(mode=0o600)
            path.write_bytes(data)
        try:
            port = self._start_scheduler()
        except BaseException:
            self.close()
            raise
        self.scheduler = address(HOST, port)
        self.files = security.paths(self.folder)
        node = EngineNode(NAME, HOST, offer)
        self._keep(worker_command(node, self.scheduler, PurePosixPath(self.folder)))

    def await_worker(self) -> None:
        """Wait until the worker has joined."""
        from toil_dask import ready

        command = [sys.executable, "-m", ready.__name__, "--folder", str(self.folder), "--scheduler", self.scheduler, "--worker", NAME]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    def close(self) -> None:
        """End both, and everything that they started."""
        with self._lock:
            self._closing.set()
            running = list(self._running)
        for process in reversed(running):
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_scheduler(self) -> int:
        """Start one at a port that is free, and at the same port whenever it ends; the port."""
        command = ("python", "-m", "toil_dask.scheduler", "--folder", str(self.folder), "--host", HOST, "--port")
        first = self._start((*command, "0"))
        assert first is not None and first.stdout is not None
        told = first.stdout.readline().decode().strip()
        if not told:
            log = (self.folder / "log").read_text(errors="replace").strip().splitlines()
            raise UsageError(f"a Dask scheduler cannot be started here: {log[-1] if log else f'it ended with exit code {first.wait()}'}")
        port = int(told.rpartition(":")[2])
        self._keep((*command, str(port)), first)
        return port

    def _keep(self, command: Sequence[str], first: subprocess.Popen[bytes] | None = None) -> None:
        """Have the command run, again and again, until this is closed."""

        def keeping() -> None:
            process, pause = first or self._start(command), 0.1
            while process is not None:
                process.wait()
                if self._closing.wait(pause):
                    return
                pause = min(2 * pause, 10.0)
                process = self._start(command)

        thread = threading.Thread(target=keeping, name="toil-dask-local", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
        """Start it, unless this is closing."""
        with self._lock, open(self.folder / "log", "ab") as log:
            if self._closing.is_set():
                return None
            process = subprocess.Popen(
                [sys.executable, *command[1:], "--with-stdin"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the leader, which ends its work in good order
            )
            self._running = [other for other in self._running if other.poll() is None] + [process]
            return process
