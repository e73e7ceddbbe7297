"""A node that goes: what runs there ends first, and nothing more begins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from toil_core.batch_system import Reason, Request
from toil_core.cluster import on_node
from toil_core.cluster_engine import EngineNode
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import await_death, body, kind

from toil_dask.batch_system import Dask
from toil_dask.testing import HOST, SHAPE, Cluster

SECONDS = 60.0


@dataclass
class Kept:
    """A node whose program is kept as on a cluster.

    Args:
        folder: The cluster's folder there.
        environment: That of its processes.
        run: What a leader does there.
    """

    folder: Path
    environment: dict[str, str]
    run: Run

    def tool(self, *words: str) -> str:
        """What the node's own tool prints."""
        done = subprocess.run([sys.executable, on_node.__file__, *words], env=self.environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def drain(self, seconds: float) -> int:
        """How many requests are left after so many seconds of draining."""
        return int(self.tool("drain", str(self.folder), str(seconds)))

    def await_notice(self) -> None:
        """Until the leader knows that the node goes."""
        assert isinstance(self.run.system, Dask)
        nodes = self.run.system._leader._nodes
        while not all(node.preempted for node in nodes.values()):
            self.run.system.updates(0.05)

    def between(self, *more: bytes, chain: bool = False) -> tuple[Request, int]:
        """A request that has ended its first job and has not begun the next, and the process to continue for that."""
        request = self.run.request(body("stop slot", self.run.path("pids")), *more, chain=chain)
        self.run.system.submit([request])
        job, slot = map(int, self.run.await_file(self.run.path("pids")).split())
        await_death(job, SECONDS)
        return request, slot


@pytest.fixture
def kept(bare_cluster: Cluster, tmp_path: Path) -> Iterator[Kept]:
    folder = bare_cluster.place("kept")
    node = EngineNode("kept", HOST, SHAPE)
    command = list(bare_cluster.engine.command("worker", node, HOST, PurePosixPath(folder)))
    command[0], command[command.index("--scheduler") + 1] = sys.executable, bare_cluster.scheduler
    (folder / "engine.json").write_text(json.dumps({"command": command, "environment": {}}))
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(bare_cluster.tmp)}
    with (folder / "log").open("ab") as log:
        keeper = subprocess.Popen([sys.executable, on_node.__file__, "keep", str(folder)], stdout=log, stderr=log, env=environment)
    try:
        bare_cluster.await_worker("kept")
        with bare_cluster.open("kept") as system:
            yield Kept(folder, environment, Run(system, tmp_path, SECONDS))
    finally:
        keeper.terminate()
        keeper.wait(SECONDS)


def test_a_node_between_two_jobs_of_a_request_is_not_taken_for_empty(kept: Kept) -> None:
    request, slot = kept.between(body("nothing"))
    assert kept.tool("busy") == "1"
    assert kept.drain(0) == 1
    os.kill(slot, signal.SIGCONT)
    assert kept.drain(SECONDS) == 0
    (update,) = kept.run.ends([request])
    assert update.reason is None and len(kept.run.results(request)) == 2


def test_a_node_that_goes_lets_no_chain_go_on(kept: Kept) -> None:
    done = kept.run.request(body("chain", 3), chain=True)
    kept.run.values(done)
    assert len(kept.run.results(done)) == 4
    name = kept.run.path
    request = kept.run.request(body("wait", name("started"), name("go")), body("chain", 3), chain=True)
    kept.run.system.submit([request])
    kept.run.await_file(name("started"))
    assert kept.drain(0) == 1
    kept.await_notice()
    Path(name("go")).touch()
    assert kept.drain(SECONDS) == 0
    kept.run.ends([request])
    assert len(kept.run.results(request)) == 2, "the job of the chain that the request came with, and the one before it"


def test_what_comes_when_the_node_goes_already_is_sent_back(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(kept.run.system, Dask)
    placement = kept.run.system._leader._placement
    monkeypatch.setattr(placement, "close", lambda node: None)  # as if the leader had not yet heard
    kept.drain(0)
    kept.await_notice()
    request = kept.run.request(body("once", kept.run.path("ran")), of=kind(preemptible=True))
    (update,) = kept.run.run(request)
    assert update.reason is Reason.PREEMPTED and "began nothing more" in update.message
    assert not Path(kept.run.path("ran")).exists()
