"""The cluster engine contract as tests: subclass, give an `engine` fixture, get every case.

The commands run as processes of this machine, each node in a folder and on a loopback address of its own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from toil_core.batch_system import BatchSystem, Reason, Requirement
from toil_core.cluster_engine import ClusterEngine, EngineNode, Role
from toil_core.option_parser import OptionParser, add_engine_options, config_from
from toil_core.option_specs import specs
from toil_core.options import Config
from toil_core.plugins import open_batch_system, option_groups
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import await_death, body, kind

ROLES: Sequence[Role] = ("leader", "worker")
MIB = 1 << 20


class NodeHere:
    """A node of a cluster, on this machine.

    Args:
        engine: The engine.
        role: The node's part.
        node: The node, as the engine has to know it.
        leader: The address of the cluster's leader node.
        folder: The node's folder of the cluster; it is made, with the engine's files.
        shared: What the engine's `secrets` said.
    """

    def __init__(self, engine: ClusterEngine, role: Role, node: EngineNode, leader: str, folder: Path, shared: Mapping[str, bytes]) -> None:
        self._engine, self._role, self._node = engine, role, node
        self.leader_address, self.folder = leader, folder
        folder.mkdir(0o700)
        for name, data in engine.files(role, leader, shared).items():
            path = folder / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_bytes(data)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start the node's program; its process."""
        command = self._engine.command(self._role, self._node, self.leader_address, PurePosixPath(self.folder))
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                _resolved(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        return self._process.pid

    def await_ready(self, seconds: float) -> None:
        """Return once the engine says that the node works."""
        command = self._engine.ready(self._role, self._node, self.leader_address, PurePosixPath(self.folder))
        done = subprocess.run(_resolved(command), capture_output=True, text=True, timeout=seconds, check=False, cwd=self.folder)
        assert done.returncode == 0, f"{done.stderr}\n{(self.folder / 'log').read_text()}"

    def stop(self, seconds: float, *, kill: bool = False) -> None:
        """End the program, in good order or not, and wait for that."""
        process, self._process = self._process, None
        if process is not None:
            process.kill() if kill else process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


class ClusterEngineContract:
    """What every engine must do."""

    seconds = 60.0
    """How long anything may take."""
    leader_address = ""
    """A loopback address that nothing else uses; one is made up when it is empty."""

    @pytest.fixture
    def engine(self) -> ClusterEngine:
        """The engine under test."""
        raise NotImplementedError("override the engine fixture")

    @pytest.fixture
    def cluster(self, engine: ClusterEngine, tmp_path: Path) -> Iterator[dict[str, NodeHere]]:
        """A leader and two workers that were not started."""
        leader = self.leader_address or ".".join(["127", *(str(1 + byte % 250) for byte in secrets.token_bytes(3))])
        shared = engine.secrets("tested")
        names: dict[str, Role] = {"leader": "leader", "one": "worker", "two": "worker"}
        offer = Requirement(1, 512 * MIB, 512 * MIB)
        nodes = {
            name: NodeHere(engine, role, EngineNode(name, leader if role == "leader" else "127.0.0.1", offer), leader, tmp_path / name, shared)
            for name, role in names.items()
        }
        try:
            yield nodes
        finally:
            for node in reversed(nodes.values()):
                node.stop(self.seconds)

    # What it says

    def test_secrets_are_made_anew(self, engine: ClusterEngine) -> None:
        one, two = engine.secrets("one"), engine.secrets("one")
        assert one.keys() == two.keys() and (not one or one != two)

    def test_files_stay_in_their_folder(self, engine: ClusterEngine) -> None:
        for role in ROLES:
            for name in engine.files(role, "10.0.0.1", engine.secrets("one")):
                path = PurePosixPath(name)
                assert not path.is_absolute() and ".." not in path.parts and path.parts

    def test_nothing_secret_is_said(self, engine: ClusterEngine) -> None:
        folder, shared = PurePosixPath("/cluster/folder"), engine.secrets("one")
        node = EngineNode("one", "10.0.0.2", Requirement(2, MIB, MIB, preemptible=True))
        said = [*engine.options("10.0.0.1", folder).items(), *engine.requirements()]
        for role in ROLES:
            said += [engine.command(role, node, "10.0.0.1", folder), engine.ready(role, node, "10.0.0.1", folder)]
        text = repr(said)
        for data in shared.values():
            for line in data.decode(errors="replace").split():
                assert len(line) < 20 or line not in text

    def test_the_same_is_said_again(self, engine: ClusterEngine) -> None:
        folder, node = PurePosixPath("/cluster/folder"), EngineNode("one", "fd00::2", Requirement(2.5, MIB))
        for role in ROLES:
            assert engine.command(role, node, "fd00::1", folder) == engine.command(role, node, "fd00::1", folder)
        assert engine.options("fd00::1", folder) == engine.options("fd00::1", folder)

    def test_the_options_exist(self, engine: ClusterEngine) -> None:
        options = engine.options("10.0.0.1", PurePosixPath("/cluster/folder"))
        assert "batch_system" in options
        flags = {flag for group in option_groups() for spec in specs(group) for flag in spec.flags}
        assert {_flag(name) for name in options} <= flags
        self.config(engine, "10.0.0.1", Path("/cluster/folder"))

    # What it does

    def test_a_cluster_runs_jobs(self, engine: ClusterEngine, cluster: dict[str, NodeHere], tmp_path: Path) -> None:
        """Workers may start before the leader."""
        for name in ("one", "two", "leader"):
            cluster[name].start()
        for name in ("leader", "one", "two"):
            cluster[name].await_ready(self.seconds)
        with self.opened(engine, cluster, tmp_path) as run:
            waiting = [run.request(body("wait", run.path(f"on-{n}"), run.path("go")), of=kind(cores=1)) for n in range(2)]
            run.system.submit(waiting)
            for number in range(2):  # both at a time: on two nodes, as each has one core
                run.await_file(run.path(f"on-{number}"))
            Path(run.path("go")).touch()
            assert len({update.node for update in run.ends(waiting)}) == 2

    def test_a_nodes_program_ends_with_its_jobs_and_can_be_started_again(
        self, engine: ClusterEngine, cluster: dict[str, NodeHere], tmp_path: Path
    ) -> None:
        for name in ("leader", "one"):
            cluster[name].start()
            cluster[name].await_ready(self.seconds)
        with self.opened(engine, cluster, tmp_path) as run:
            request = run.request(body("ignore signals", run.path("started"), run.path("never")))
            run.system.submit([request])
            pid = int(run.await_file(run.path("started")))
            cluster["one"].stop(self.seconds)
            await_death(pid, self.seconds)
            (update,) = run.ends([request])
            assert update.reason is not None
            cluster["one"].start()
            cluster["one"].await_ready(self.seconds)
            cluster["one"].stop(self.seconds, kill=True)
            cluster["one"].start()
            cluster["one"].await_ready(self.seconds)
            again = run.request(body("give", "again"))
            while run.run(again)[0].reason is Reason.NODE_LOST:  # the leader had not heard yet that the killed one is gone
                again = run.request(body("give", "again"))
            assert [value for _, value, _ in run.results(again)] == [b"again"]

    # Helpers

    def config(self, engine: ClusterEngine, leader: str, folder: Path) -> Config:
        """The options of a workflow that is started on the leader node."""
        groups = option_groups()
        parser = OptionParser("toil", "")
        add_engine_options(parser, groups)
        given = [text for name, value in engine.options(leader, PurePosixPath(folder)).items() for text in (_flag(name), value)]
        return config_from(parser.parse_args(given), environ={"XDG_CONFIG_HOME": "/nonexistent"}, groups=groups)

    @contextmanager
    def opened(self, engine: ClusterEngine, cluster: dict[str, NodeHere], folder: Path) -> Iterator[Run]:
        """The batch system of a workflow on the leader node."""
        leader = cluster["leader"]
        config = self.config(engine, leader.leader_address, leader.folder)
        options = engine.options(leader.leader_address, PurePosixPath(leader.folder))
        work = folder / "work"
        work.mkdir()
        system: BatchSystem = open_batch_system(options["batch_system"], config)
        with system:
            yield Run(system, work, self.seconds)


def _flag(name: str) -> str:
    """The flag of an option that an engine names."""
    return f"--{name.replace('_', '-')}"


def _resolved(command: Sequence[str]) -> list[str]:
    """The command with this Python as the cluster's."""
    first, *rest = command
    return [sys.executable if first == "python" else os.fspath(first), *rest]
