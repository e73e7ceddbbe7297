from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cluster.conftest import Clusters
from toil_core.cluster.destroy import destroy
from toil_core.cluster.state import ClusterState
from toil_core.drivers.local import LocalProvisioner
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.errors import ToilError
from toil_core.options import Config
from toil_core.provisioner import NodeRequest


class Forgetful(LocalProvisioner):
    """A cloud that says that it has removed all, and has left a machine."""

    def destroy(self, cluster: str) -> None:
        self.terminate(cluster, ["leader"])

    def finish(self, cluster: str) -> None:
        super().destroy(cluster)


def test_what_is_still_there_is_told_and_the_keys_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOIL_STATE_DIR", str(tmp_path / "state"))
    state = ClusterState("demo")
    with Forgetful(Config([LocalCloudOptions(folder=str(tmp_path / "cloud"), sshd="off")])) as cloud:
        cloud.prepare("demo")
        cloud.launch("demo", [NodeRequest("leader", "local.small", "leader"), NodeRequest("worker-1", "local.small", "worker")])
        state.folder.mkdir(parents=True)
        state.key.write_text("key")
        with pytest.raises(ToilError, match=r"cluster demo is not gone: there is still node worker-1.*; try again"):
            destroy(state, cloud)
        assert state.key.read_text() == "key"
        cloud.finish("demo")
        destroy(state, cloud)
    assert not state.folder.exists()


def test_the_runs_that_end_with_a_cluster_are_named(clusters: Clusters, tmp_path: Path) -> None:
    (tmp_path / "stay.py").write_text("import signal\nsignal.pause()\n")
    (tmp_path / "go.py").write_text("print('gone')\n")
    clusters.launch("demo")
    assert clusters.toil("destroy-cluster", "demo", "--dry-run").stdout.startswith("would remove ")
    stays = clusters.toil("submit", "demo", str(tmp_path / "stay.py"), "two words").stdout.strip()
    goes = clusters.toil("submit", "demo", str(tmp_path / "go.py")).stdout.strip()
    assert "gone" in clusters.toil("attach", "demo", goes).stdout
    said = clusters.toil("destroy-cluster", "demo", "--dry-run")
    assert said.stdout.startswith(f"would end run {stays}: stay.py 'two words'\nwould remove ")
    assert goes not in said.stdout
    assert said.stderr == ""
    told = json.loads(clusters.toil("destroy-cluster", "demo", "--dry-run", "--json").stdout)
    assert ([run["id"] for run in told["runs"]], told["trouble"]) == ([stays], "")
    said = clusters.toil("destroy-cluster", "demo")
    assert said.stdout.startswith(f"ends run {stays}: stay.py 'two words'\nremoved ")


def test_a_leader_that_does_not_answer_does_not_keep_its_cluster(clusters: Clusters) -> None:
    clusters.launch("demo")
    run = clusters.home("demo") / ".toil" / "runs" / "odd"
    run.mkdir(parents=True)
    os.mkfifo(run / "command")  # whoever reads it waits for ever
    said = clusters.toil("destroy-cluster", "demo", "--connect-timeout", "0.5", "--dry-run")
    assert said.stderr.startswith("toil: it cannot be told which runs still go on there: ") and said.stderr.count("\n") == 1
    assert json.loads(clusters.toil("destroy-cluster", "demo", "--connect-timeout", "0.5", "--json").stdout)["trouble"]
    assert "there is nothing of a cluster demo" in clusters.toil("destroy-cluster", "demo", "-p", "local", code=2).stderr
