"""A node that goes: what runs there ends first, and nothing more begins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
LATE = """
import sys
from pathlib import Path
from toil_dask import daemon, worker

be_noticed = daemon.Signals.be_noticed
daemon.Signals.be_noticed = lambda signals: daemon.watch_for(Path(sys.argv[1]), lambda: be_noticed(signals))
sys.exit(worker.main(sys.argv[2:]))
"""
"""A worker's program that does not heed the news that its node goes before a file is there."""


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

    def await_notice(self, but: str = "") -> str:
        """Until the leader knows that the node goes, in a life of it other than this one; its life."""
        assert isinstance(self.run.system, Dask)
        while True:
            for life, node in list(self.run.system._leader._nodes.items()):
                if node.preempted and life != but:
                    return life
            self.run.system.updates(0.05)

    def between(self, *more: bytes, chain: bool = False) -> tuple[Request, int]:
        """A request that has ended its first job and has not begun the next, and the process to continue for that."""
        request = self.run.request(body("stop slot", self.run.path("pids")), *more, chain=chain)
        self.run.system.submit([request])
        job, slot = map(int, self.run.await_file(self.run.path("pids")).split())
        await_death(job, SECONDS)
        return request, slot


@contextmanager
def keeping(bare_cluster: Cluster, tmp_path: Path, late: Path | None = None) -> Iterator[Kept]:
    folder = bare_cluster.place("kept")
    node = EngineNode("kept", HOST, SHAPE)
    command = list(bare_cluster.engine.command("worker", node, HOST, PurePosixPath(folder)))
    command[0], command[command.index("--scheduler") + 1] = sys.executable, bare_cluster.scheduler
    if late is not None:
        assert command[1:3] == ["-m", "toil_dask.worker"]
        command[1:3] = ["-c", LATE, str(late)]
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


@pytest.fixture
def kept(bare_cluster: Cluster, tmp_path: Path) -> Iterator[Kept]:
    with keeping(bare_cluster, tmp_path) as kept:
        yield kept


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


def test_what_begins_before_the_node_knows_that_it_goes_is_waited_for(bare_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heed, looked, requests = tmp_path / "heed", threading.Event(), on_node.requests

    def looking(paths: Iterable[str]) -> int:
        found = requests(paths)
        looked.set()
        return found

    monkeypatch.setattr(on_node, "requests", looking)
    monkeypatch.setattr(on_node, "HEED", SECONDS)
    monkeypatch.setenv("HOME", str(tmp_path))
    with keeping(bare_cluster, tmp_path, heed) as kept, ThreadPoolExecutor(1) as pool:
        draining = pool.submit(on_node.drain, str(kept.folder), SECONDS)
        assert looked.wait(SECONDS)
        name = kept.run.path
        request = kept.run.request(body("wait", name("started"), name("go")))
        kept.run.system.submit([request])
        kept.run.await_file(name("started"))
        heed.touch()
        kept.await_notice()
        assert not draining.done()
        Path(name("go")).touch()
        assert draining.result(SECONDS) == 0
        (update,) = kept.run.ends([request])
        assert update.reason is None


def test_the_host_of_a_leader_that_comes_late_knows_that_the_node_goes(kept: Kept, bare_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.drain(SECONDS) == 0
    with bare_cluster.open("kept"):
        assert kept.drain(SECONDS) == 0
        monkeypatch.setenv("HOME", str(tmp_path))
        assert [on_node.told(path) for path in on_node.hosts()] == [["0", on_node.LAST]] * 2


def test_the_requests_of_all_leaders_are_counted(kept: Kept, bare_cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with bare_cluster.open("kept") as system:
        runs = [kept.run, Run(system, tmp_path / "other", SECONDS)]
        requests = [run.request(body("wait", run.path("started"), run.path("go"))) for run in runs]
        for run, request in zip(runs, requests, strict=True):
            run.system.submit([request])
            run.await_file(run.path("started"))
        assert kept.tool("busy") == "2"
        assert kept.drain(0) == 2
        for run, request in zip(runs, requests, strict=True):
            Path(run.path("go")).touch()
            (update,) = run.ends([request])
            assert update.reason is None
        assert kept.drain(SECONDS) == 0


def test_a_node_that_goes_keeps_that_in_mind_when_its_scheduler_is_another(kept: Kept, bare_cluster: Cluster) -> None:
    kept.drain(0)
    life = kept.await_notice()
    bare_cluster.kill("leader")
    bare_cluster.start_scheduler()
    kept.await_notice(but=life)

