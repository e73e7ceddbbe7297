"""The life of a cluster on real hosts: over real ssh, with nodes that die, vanish and become slow, and a workflow whose leader is killed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cluster.lab import a_lab
from tests.cluster.real_cluster import RealCluster
from tests.docs.blocks import ROOT
from toil_core.testing.needs import need
from toil_core.testing.runners import await_death

VARIANTS = ROOT / "examples" / "variants" / "variants.py"
HOLD = Path(__file__).parent / "workflows" / "hold.py"
LAUNCH = ("-p", "simhost", "--nodeType", "sim.small", "--leaderNodeType", "sim.large", "--engine", "dask")


pytestmark = pytest.mark.timeout(600)  # the first one waits for the launch, the last one for the end


@contextmanager
def a_cluster(folder: Path) -> Iterator[RealCluster]:
    """A cluster that is not launched yet; what is there of it at the end is removed."""
    need("" if find_spec("toil_dask") else "pip install toil-dask")
    with a_lab() as lab:
        cluster = RealCluster(lab, folder, uuid4().hex)
        try:
            yield cluster
        finally:
            cluster.toil("destroy-cluster", code=None)
            cluster.close()


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """One cluster for all tests; nothing of it is left, and nothing that it should not have been told came to it."""
    folder = tmp_path_factory.mktemp("real")
    with a_cluster(folder) as cluster:
        (folder / "requirements.txt").write_text("cutadapt\nmappy\npysam\n")
        cluster.toil("launch-cluster", *LAUNCH, "-w", "3", "--python-requirements", str(folder / "requirements.txt"))
        assert cluster.workers() == ["worker-1", "worker-2", "worker-3"]
        yield cluster
        assert cluster.where(cluster.canary) == []
        cluster.toil("destroy-cluster")
        assert cluster.lab.hosts() == []
        assert list((cluster.folder / "state" / "clusters").iterdir()) == [], "no key is left"
        assert "knows of no cluster" in cluster.toil("cluster-status", code=2).stderr


@pytest.fixture
def cluster(launched: RealCluster) -> RealCluster:
    """It, where no job goes on until it is let."""
    launched.hold()
    return launched


def test_commands_reach_the_leader(cluster: RealCluster, tmp_path: Path) -> None:
    assert cluster.toil("ssh-cluster", "hostname").stdout == "real.leader\n"
    assert cluster.toil("ssh-cluster", "sh", "-c", "exit 7", code=7).stdout == ""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b").write_text("content")
    cluster.toil("rsync-cluster", "-r", f"{tmp_path}/data", ":")
    assert cluster.toil("ssh-cluster", "cat", "data/a b").stdout == "content"
    planted = uuid4().hex
    for place in ("/tmp/planted", "planted"):
        (tmp_path / "planted").write_text(planted)
        cluster.toil("rsync-cluster", f"{tmp_path}/planted", f":{place}")
    assert len(cluster.where(planted)) == 2, "what looks for secrets finds what is there, on a disk and in memory"


def test_only_ssh_is_open_to_all(cluster: RealCluster) -> None:
    """All else listens at a node's private address alone, and speaks TLS, with nobody who shows no certificate of the cluster."""
    for node in ("leader", *cluster.scaled(3)):
        host = cluster.lab.host(cluster.host(node))
        found = cluster.listening(node)
        assert {("0.0.0.0", 22), ("::", 22)} <= found
        engine = {port for address, port in found if address == host.address}
        assert found == {("0.0.0.0", 22), ("::", 22), *((host.address, port) for port in engine)}, f"{node}: {found}"
        assert engine, node
        for port in engine:
            assert not first_word(cluster, host.address, port)


def first_word(cluster: RealCluster, address: str, port: int) -> bytes:
    """What the engine says to somebody who has the cluster's authority and no certificate; it must show its own."""
    (authority,) = (cluster.folder / "state" / "clusters" / cluster.name).rglob("ca.pem")
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    with socket.create_connection((address, port), 30) as plain, context.wrap_socket(plain) as talk:
        assert talk.getpeercert()
        try:
            return talk.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_nothing_is_lost_with_nodes(cluster: RealCluster) -> None:
    """One node dies, one vanishes, one becomes slow; no job has a try to lose."""
    dying, vanishing, slow = workers = cluster.scaled(3)
    run = cluster.submit(HOLD, "file:/srv/shared/lost", "--count", "5", "--retry-count", "0")
    first = cluster.began(3)
    assert {node for _, node in first} == set(workers)
    cluster.lab.terminate(cluster.host(dying))
    cluster.lab.cut(cluster.host(vanishing))
    cluster.lab.slow(cluster.host(slow), "8mbit")
    try:
        cluster.let([slow])
        again = cluster.began(4)
        assert {node for _, node in again} == {slow}
        assert sorted(number for number, node in first + again if node == slow) == [0, 1, 2, 3, 4]
        told = cluster.toil("attach", run, "--follow").stdout
        assert told.count("node lost") == 2 and "\n10\n" in told, told
        assert cluster.states() == {"leader": "up", vanishing: "unreachable", slow: "up"}
    finally:
        cluster.lab.heal(cluster.host(vanishing))
        cluster.lab.fast(cluster.host(slow))


def test_variants_are_found(cluster: RealCluster) -> None:
    """A real pipeline, one of whose nodes dies while it runs."""
    dying = cluster.scaled(3)[-1]
    run = cluster.submit(VARIANTS, "file:/srv/shared/variants", "--output", "/srv/shared/results", "--chunks", "8", "--retry-count", "0")
    told = ""
    with cluster.follow(run) as following:
        assert following.stdout
        for line in following.stdout:
            told += line
            if "jobs done" in line:
                cluster.lab.terminate(cluster.host(dying))
    assert following.returncode == 0, told
    assert "variants found: 85 (51 deletions, 34 SNVs)" in told, told
    assert {path.name for path in (cluster.shared / "results").iterdir()} >= {"summary.html", "variants.vcf.gz", "aligned.bam"}


def test_a_killed_leader_is_restarted(cluster: RealCluster) -> None:
    """The workflow's own process dies; what ran for it on other hosts ends by itself, and what was done stays done."""
    store = "file:/srv/shared/restart"
    workers = cluster.scaled(2)
    run = cluster.submit(HOLD, store, "--count", "3")
    first = cluster.began(2)
    running = cluster.processes_of_jobs()
    assert len(running) >= 2
    assert cluster.where(cluster.canary) == [], "while jobs run"
    killed = cluster.lab.console(cluster.host("leader"), ["pkill", "-KILL", "-f", store])
    assert killed.returncode == 0
    assert cluster.toil("attach", run, "--follow", code=None).returncode != 0
    for process in running:
        await_death(process, 90)
    cluster.let(workers)
    again = cluster.submit(HOLD, store, "--count", "3", "--restart")
    told = cluster.toil("attach", again, "--follow").stdout
    assert "\n3\n" in told, told
    assert {node for _, node in first} == set(workers)
    assert cluster.processes_of_jobs() == []


def test_it_grows_and_shrinks(cluster: RealCluster) -> None:
    workers = cluster.scaled(8)
    run = cluster.submit(HOLD, "file:/srv/shared/wide", "--count", "8")
    assert {node for _, node in cluster.began(8)} == set(workers)
    cluster.let(workers)
    assert "\n28\n" in cluster.toil("attach", run, "--follow").stdout
    assert set(cluster.scaled(2)) < set(workers)
    assert len(cluster.lab.hosts()) == 3


def test_what_cannot_be_is_told_in_a_line(tmp_path: Path) -> None:
    with a_cluster(tmp_path) as cluster:
        for words, said in (
            (("launch-cluster", *LAUNCH[:2], "--nodeType", "sim.smal"), "did you mean sim.small"),
            (("cluster-status",), "knows of no cluster real"),
        ):
            assert said in cluster.toil(*words, code=2).stderr
