from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toil_core.drivers import local_node
from toil_core.drivers.local import LocalProvisioner
from toil_core.drivers.local_catalog import node_types
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.errors import BadOption, UsageError
from toil_core.options import Config
from toil_core.provisioner import HasClusters, HasInventory, HasNotices, HasTransport, NodeRequest, NodeType, Provisioner, SharesDisk
from toil_core.provisioner_options import ClusterOptions
from toil_core.testing.provisioner import ProvisionerContract
from toil_core.worker import procfs


class TestWithSsh(ProvisionerContract):
    abilities = (HasClusters, HasInventory, HasNotices, HasTransport, SharesDisk)

    @pytest.fixture
    def open_provisioner(self, tmp_path: Path) -> Callable[[], Provisioner]:
        return lambda: LocalProvisioner(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"))]))

    def test_nothing_runs_of_what_was_terminated_or_destroyed(self, provisioner: Provisioner, cluster: str, tmp_path: Path) -> None:
        folder = str(tmp_path / "cloud" / cluster)
        self.launch(provisioner, cluster, "leader", "worker-1")
        assert len(running(folder)) == 2
        provisioner.terminate(cluster, ["worker-1"])
        assert [line for line in running(folder) if "/worker-1/" in line] == []
        assert len(running(folder)) == 1
        provisioner.destroy(cluster)
        assert running(folder) == []


class TestWithoutSsh(ProvisionerContract):
    abilities = (HasClusters, HasInventory, HasNotices, HasTransport, SharesDisk)

    @pytest.fixture
    def open_provisioner(self, tmp_path: Path) -> Callable[[], Provisioner]:
        return lambda: LocalProvisioner(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"), sshd="off")]))


class TestWhatHappensToNodes:
    @pytest.fixture
    def cloud(self, tmp_path: Path) -> Iterator[LocalProvisioner]:
        with LocalProvisioner(Config([LocalCloudOptions(folder=str(tmp_path / "cloud")), ClusterOptions(tag=("a=b",), owner="me")])) as cloud:
            cloud.prepare("demo")
            requests = [NodeRequest("leader", "local.small", "leader"), NodeRequest("worker-1", "local.small", "worker", preemptible=True)]
            cloud.launch("demo", requests)
            yield cloud
            cloud.destroy("demo")

    def test_tags_are_kept(self, cloud: LocalProvisioner, tmp_path: Path) -> None:
        assert json.loads((tmp_path / "cloud" / "demo" / "tags.json").read_text()) == {"a": "b", "Owner": "me"}

    def test_a_node_is_taken_away_after_notice(self, cloud: LocalProvisioner, monkeypatch: pytest.MonkeyPatch) -> None:
        before = time.time()
        assert cloud.notices("demo") == {}
        noticed: list[float] = []

        def waits(about: Path, seconds: float) -> None:
            noticed.append(cloud.notices("demo")["worker-1"])
            assert [node.name for node in cloud.nodes("demo")] == ["leader", "worker-1"]
            local_node_await_end(about, seconds)

        local_node_await_end = local_node.await_end
        monkeypatch.setattr(local_node, "await_end", waits)
        cloud.preempt("demo", "worker-1", 1.0)
        assert before + 1 <= noticed[0] <= time.time()
        assert [node.name for node in cloud.nodes("demo")] == ["leader"]

    def test_only_preemptible_nodes_that_are_there_are_preempted(self, cloud: LocalProvisioner) -> None:
        with pytest.raises(UsageError, match="not preemptible"):
            cloud.preempt("demo", "leader", 1)
        with pytest.raises(UsageError, match="has no node worker-7 on this machine; it has leader, worker-1"):
            cloud.kill("demo", ["worker-7"])

    def test_a_node_whose_server_died_is_no_node_and_can_be_had_anew(self, cloud: LocalProvisioner, tmp_path: Path) -> None:
        about = tmp_path / "cloud" / "demo" / "records" / "worker-1"
        pid = int((about / "process").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        procfs.await_end(pid)
        assert [node.name for node in cloud.nodes("demo")] == ["leader"]
        cloud.launch("demo", [NodeRequest("worker-1", "local.small", "worker")])
        assert [node.name for node in cloud.nodes("demo")] == ["leader", "worker-1"]


def test_a_port_is_held_for_the_ssh_server_alone() -> None:
    with local_node.hold_port("127.0.0.1") as held, socket.socket() as stranger:
        with pytest.raises(OSError, match="in use"):
            stranger.bind(held.getsockname())
        with socket.create_server(held.getsockname()) as server:  # it asks for the address to be used again, as sshd does
            socket.create_connection(server.getsockname(), 60).close()


def test_who_took_a_connection_just_before_the_end_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may fork a process for a connection after its processes were listed and before it is killed itself."""
    with subprocess.Popen(["sleep", "infinity"]) as server, subprocess.Popen(["sleep", "infinity"]) as connection:
        found = iter([[server.pid], [connection.pid], []])
        monkeypatch.setattr(local_node, "_servers", lambda about: next(found))
        local_node.end(tmp_path, tmp_path)
        assert [server.wait(60), connection.wait(60)] == [-signal.SIGKILL] * 2


def test_other_node_types(tmp_path: Path) -> None:
    file = tmp_path / "types.toml"
    file.write_text('["my.large"]\ncores = 16\nmemory = "64 GiB"\ndisk = "100 GiB"\nprice = 0.8\n[other]\ncores = 1\nmemory = 1000\ndisk = 0\n')
    assert list(node_types(str(file))) == [NodeType("my.large", 16, 64 << 30, 100 << 30, price=0.8), NodeType("other", 1, 1000)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "is not TOML"),
        ("", "has no node type"),
        ("cores = 1", "must be a table"),
        ("[my.large]\ncores = 1", "a name with dots is quoted"),
        ('[a]\ncores = 1\nmemory = "much"\ndisk = 1', "is not a size"),
        ('[a]\ncores = 1\nmemory = 1\ndisk = 1\nprice = "dear"', "a price must be a number"),
    ],
)
def test_node_types_that_make_no_sense(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "types.toml").write_text(text)
    with pytest.raises(BadOption, match=said):
        node_types(str(tmp_path / "types.toml"))
    with pytest.raises(BadOption, match="cannot be read"):
        node_types(str(tmp_path / "none.toml"))


def running(folder: str) -> list[str]:
    """The command lines that mention a folder, without what greets those who connect."""
    found = subprocess.run(["ps", "-eo", "args", "ww"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if folder in line and not line.endswith(" -R")]
