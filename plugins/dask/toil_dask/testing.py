"""Real clusters for tests: the engine's own commands as processes, each node in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from toil_core.batch_system import Requirement, State, Update
from toil_core.closing import Closing
from toil_core.cluster_engine import EngineNode
from toil_core.options import Config
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import body, kind

from toil_dask.batch_system import Dask, FixedDask
from toil_dask.connection import Target
from toil_dask.engine import DaskEngine, address
from toil_dask.options import DaskOptions
from toil_dask.security import paths

HOST = "127.0.0.1"
GIB = 1 << 30
SHAPE = Requirement(2, 2 * GIB, 2 * GIB)
SECONDS = 60.0


class Cluster(Closing):
    """A scheduler at a port of its own, and workers that come and go; all end with the process that made it, however that ends.

    Args:
        folder: A folder for it alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = DaskEngine(Config())
        self.secrets = self.engine.secrets("tested")
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.shapes: dict[str, Requirement] = {}
        """The nodes whose programs run as they were started, and what they have."""
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so does the scheduler, which may listen there then; nobody else is given it
        self._port.bind((HOST, 0))
        self.scheduler = address(HOST, self.port)
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """Start the scheduler, always at the same port; it is there when this returns."""
        folder = self.place("leader")
        command = self.engine.command("leader", EngineNode("leader", HOST, Requirement()), HOST, PurePosixPath(folder))
        process = self._start("leader", (*command, "--port", str(self.port)), stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as told:
            self.scheduler = told.readline().decode().strip()
        assert self.scheduler, (self.folder / "leader.log").read_text()

    @property
    def port(self) -> int:
        """Where the scheduler listens."""
        return int(self._port.getsockname()[1])

    def add(self, name: str, shape: Requirement | None = None) -> None:
        """Start a worker, by default with 2 cores; `await_worker` and `Dask.nodes` tell when it has joined."""
        folder = self.place(name)
        self.shapes[name] = shape or SHAPE
        node = EngineNode(name, HOST, self.shapes[name])
        command = list(self.engine.command("worker", node, HOST, PurePosixPath(folder)))
        command[command.index("--scheduler") + 1] = self.scheduler
        self._start(name, command)

    def await_worker(self, name: str) -> None:
        """Wait until the worker is a part of the cluster, as a launch does."""
        folder = self.place(name)
        command = list(self.engine.ready("worker", EngineNode(name, HOST, Requirement()), HOST, PurePosixPath(folder)))
        command[command.index("--scheduler") + 1] = self.scheduler
        subprocess.run([sys.executable, *command[1:]], check=True, timeout=60, capture_output=True)

    def place(self, node: str) -> Path:
        """The node's folder, with its files."""
        folder = self.folder / node
        for name, data in self.engine.files("worker", HOST, self.secrets).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the node's program."""
        self.shapes.pop(name, None)
        self.processes[name].send_signal(number)

    def kill(self, name: str, number: int = 9) -> None:
        """End the node's program, and wait for that."""
        process = self.processes.pop(name)
        self.shapes.pop(name, None)
        process.send_signal(number)
        process.wait(60)
        _let_go(process)

    @property
    def target(self) -> Target:
        """How a leader reaches it."""
        return Target(self.scheduler, paths(self.folder / "leader"), 30.0)

    def options(self, *, may_grow: bool = True) -> DaskOptions:
        """The same as options."""
        files = {f"dask_{name}": path for name, path in paths(self.folder / "leader").items()}
        return DaskOptions(dask_scheduler=self.scheduler, dask_connect_timeout=30.0, dask_may_grow=may_grow, **files)

    def arguments(self) -> list[str]:
        """The same for a command line."""
        files = [text for name, path in paths(self.folder / "leader").items() for text in (f"--dask-{name.replace('_', '-')}", path)]
        return ["--batch-system", "dask", "--dask-scheduler", self.scheduler, *files]

    def open(self, *nodes: str, may_grow: bool = True) -> Dask:
        """A batch system on it, once these nodes can be used."""
        config = Config([self.options(may_grow=may_grow)])
        system = Dask(config, self.target) if may_grow else FixedDask(config, self.target)
        assert system.nodes(set(nodes).issubset, 60.0).keys() >= set(nodes)
        return system

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.send_signal(18)  # SIGCONT, to those that were stopped
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _let_go(process)
        self._port.close()

    def _start(self, name: str, command: Sequence[str], stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command[1:], "--with-stdin"],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.tmp)},
            )
        self.processes[name] = process
        return process


def _let_go(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


class Here:
    """A batch system on the cluster, whose nodes are those that this test wants.

    Args:
        cluster: The cluster.
        folder: A folder for the test.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.run = Run(cluster.open(), folder, SECONDS)

    @property
    def system(self) -> Dask:
        assert isinstance(self.run.system, Dask)
        return self.run.system

    def add(self, name: str, cores: float = 2, *, preemptible: bool = False) -> str:
        """A node more, which the leader knows when this returns."""
        if name not in self.cluster.processes:
            self.cluster.add(name, replace(SHAPE, cores=cores, preemptible=preemptible))
        self.await_node(name)
        return name

    def await_node(self, name: str) -> None:
        """Wait until the leader knows the node."""
        assert name in self.system.nodes(lambda nodes: name in nodes, SECONDS)

    def other(self) -> Here:
        """Another leader."""
        folder = self.run.folder / "other"
        folder.mkdir()
        return Here(self.cluster, folder)

    def waiting(self, name: str, *, lasting: bool = False, **needed: Any) -> tuple[str, int]:
        """Start a request that goes on until it is told to end; its id, and its process."""
        request = self.run.request(body("wait", self.run.path(f"started-{name}"), self.run.path(f"go-{name}")), of=kind(**needed), lasting=lasting)
        self.system.submit([request])
        return request.id, int(self.run.await_file(self.run.path(f"started-{name}")))

    def end(self, id: str) -> Update:
        """The last update of a request."""
        while not self.run.updates.get(id) or self.run.updates[id][-1].state is not State.ENDED:
            self.run.hear()
        return self.run.updates[id][-1]
