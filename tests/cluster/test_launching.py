"""Launches that fail, with an engine that does."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from toil_core.cluster import launch as launch_module
from toil_core.cluster import launching, scale
from toil_core.cluster.access import open_cluster
from toil_core.cluster.bundle import differences
from toil_core.cluster.launch import Launch
from toil_core.cluster.launching import launch_cluster
from toil_core.cluster.listing import node_statuses, phases_of, state_of
from toil_core.cluster.scale import Done
from toil_core.cluster.state import ClusterFile, ClusterState, Step
from toil_core.cluster.wanted import ALL, HALF, Offer, Share, parse_workers, wanted_nodes
from toil_core.cluster_engine import ClusterEngine, EngineNode, Role
from toil_core.drivers.local import LocalProvisioner
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.drivers.local_transport import LocalTransport
from toil_core.drivers.single_machine_engine import SingleMachineEngine
from toil_core.errors import Interrupted, ToilError, UsageError
from toil_core.options import Config
from toil_core.provisioner import Node, NodeRequest, Shortage
from toil_core.provisioner_options import ClusterOptions

SECRET = b"certificate-5d1f"


class Engine(SingleMachineEngine):
    """Works when it is told to.

    Args:
        works: Whether it does.
        broken: Workers on which it does not in any case.
    """

    def __init__(self, works: bool, broken: Collection[str] = ()) -> None:
        super().__init__(Config())
        self.works = works
        self.broken = broken
        self.made = 0
        self.offers: dict[str, EngineNode] = {}

    def secrets(self, cluster: str) -> Mapping[str, bytes]:
        self.made += 1
        return {"certificate": SECRET}

    def files(self, role: Role, leader_address: str, secrets: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"tls/certificate": secrets["certificate"], "role": f"{role} of {leader_address}".encode()}

    def ready(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        self.offers[node.name] = node
        if role == "leader" or (self.works and node.name not in self.broken):
            return ["python", "-c", "import toil_core"]
        return ["sh", "-c", "echo waits for the leader >&2; echo its certificate is old >&2; exit 3"]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    monkeypatch.setenv("TOIL_STATE_DIR", str(tmp_path / "state"))
    return Config([ClusterOptions(provisioner="local"), LocalCloudOptions(sshd="off")])


def launch(
    monkeypatch: pytest.MonkeyPatch,
    config: Config,
    engine: ClusterEngine,
    *,
    keep: bool = False,
    workers: int = 1,
    least: Share = HALF,
    told: list[str] | None = None,
) -> ClusterFile:
    monkeypatch.setattr(launching, "open_engine", lambda name, config: engine)
    nodes = wanted_nodes(None, Offer("local.small"), parse_workers(str(workers)))
    return launch_cluster("demo", nodes, config, engine="own", keep=keep, least=least, tell=([] if told is None else told).append)


def test_a_launch_that_fails_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path) -> None:
    with pytest.raises(ToilError, match=r"failed at worker-1/ready: the engine does not work: its certificate is old.*what was made is removed") as error:
        launch(monkeypatch, config, Engine(works=False))
    assert not isinstance(error.value, UsageError)
    assert not ClusterState("demo").folder.exists()
    with LocalProvisioner(config) as cloud:
        assert list(cloud.inventory("demo")) == []


def test_a_launch_goes_on_without_a_worker_that_fails_and_is_filled_up_again(monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path) -> None:
    engine = Engine(works=True, broken={"worker-2"})
    told: list[str] = []
    with LocalProvisioner(config) as cloud:
        try:
            file = launch(monkeypatch, config, engine, workers=3, told=told)
            assert file.ready
            assert [node["name"] for node in file.nodes] == ["leader", "worker-1", "worker-3"]
            assert sorted(node.name for node in cloud.nodes("demo")) == ["leader", "worker-1", "worker-3"]
            assert not (cloud.homes("demo") / "worker-2").exists()
            assert "worker-2/ready failed: the engine does not work: its certificate is old; goes on without worker-2" in told
            engine.broken = {"worker-5"}
            done = scaled(monkeypatch, engine, "4", told)
            assert (done.added, done.removed, list(done.failed)) == (("worker-4",), (), ["worker-5"])
            assert sorted(node.name for node in cloud.nodes("demo")) == ["leader", "worker-1", "worker-3", "worker-4"]
            with pytest.raises(ToilError, match="no nodes were added to demo: worker-6/ready"):
                engine.broken = {"worker-6"}
                scaled(monkeypatch, engine, "4", told)
            assert len(list(cloud.nodes("demo"))) == 4
        finally:
            cloud.destroy("demo")


def scaled(monkeypatch: pytest.MonkeyPatch, engine: ClusterEngine, workers: str, told: list[str]) -> Done:
    monkeypatch.setattr(scale, "open_engine", lambda name, config: engine)
    with open_cluster("demo", argparse.Namespace(), Config([ClusterOptions(provisioner="local"), LocalCloudOptions(sshd="off")])) as cluster:
        return scale.scale_cluster(cluster, parse_workers(workers), None, told.append)


@pytest.mark.parametrize(("least", "broken"), [(ALL, {"worker-1"}), (HALF, {"worker-1", "worker-3"}), (Share(2), {"worker-2", "worker-3"})])
def test_too_few_workers_are_no_cluster(
    least: Share, broken: set[str], monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path
) -> None:
    with pytest.raises(ToilError, match=rf"{len(broken)} of 3 workers failed, and {least.of(3)} must come up.*what was made is removed"):
        launch(monkeypatch, config, Engine(works=True, broken=broken), workers=3, least=least)
    with LocalProvisioner(config) as cloud:
        assert list(cloud.inventory("demo")) == []


class Short(LocalProvisioner):
    """A cloud that has fewer preemptible machines than it is asked for."""

    left = 1

    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        spot = [request for request in requests if request.preemptible]
        super().launch(cluster, [request for request in requests if request not in spot[self.left :]])
        return [Shortage(request.type, "", True, 0.0) for request in spot[self.left :]]


def test_what_a_cloud_has_none_left_of_is_left_out(monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path) -> None:
    monkeypatch.setattr(launching, "open_engine", lambda name, config: Engine(works=True))
    monkeypatch.setattr(launching, "open_provisioner", lambda name, config: Short(config))
    monkeypatch.setattr(launch_module, "_SHORT", 5.0)
    nodes = wanted_nodes(Offer("local.small"), Offer("local.small", preemptible=True), parse_workers("local.small=1,local.small:spot=2"))
    told: list[str] = []
    with LocalProvisioner(config) as cloud:
        try:
            launch_cluster("demo", nodes, config, engine="own", tell=told.append)
            assert sorted(node.name for node in cloud.nodes("demo")) == ["leader", "worker-1", "worker-2"]
            assert any("worker-3/machine failed: the cloud has none left of local.small (preemptible)" in line for line in told)
        finally:
            cloud.destroy("demo")


def test_what_is_kept_is_gone_on_with(monkeypatch: pytest.MonkeyPatch, config: Config, tmp_path: Path) -> None:
    engine = Engine(works=False)
    state = ClusterState("demo")
    with LocalProvisioner(config) as cloud:
        try:
            with pytest.raises(ToilError, match="what there is was left"):
                launch(monkeypatch, config, engine, keep=True)
            before = {node.name: node for node in cloud.nodes("demo")}
            states = {node.name: node.state for node in node_statuses(cloud, "demo", state.journal(), launching=True)}
            assert states["leader"] == "up"
            assert state_of(state.read(), ["leader", "worker"]) == "launch interrupted"
            with state.locked():
                assert state_of(state.read(), ["leader", "worker"]) == "launching"
            assert states["worker-1"].startswith("ready: the engine does not work")
            with pytest.raises(UsageError, match="the launch of demo has not come to its end: `toil launch-cluster` with the same options goes on"):
                scaled(monkeypatch, engine, "4", [])
            engine.works = True
            file = launch(monkeypatch, config, engine)
            assert [state_of(file, roles) for roles in (["leader", "worker"], ["worker"], [])] == ["ready", "leader gone", "gone"]
            assert state_of(None, ["leader"]) == "elsewhere"
            assert {node.name: node for node in cloud.nodes("demo")} == before
            assert engine.made == 1
            assert engine.offers["worker-1"].offer.memory == 2 << 30
            files = cloud.homes("demo") / "worker-1" / ".toil" / "engine"
            assert (files / "tls" / "certificate").read_bytes() == SECRET
            assert (files / "tls" / "certificate").stat().st_mode & 0o777 == 0o600
            assert (files / "role").read_text() == f"worker of {before['leader'].private_address}"
            assert SECRET not in (state.folder / "cluster.json").read_bytes() + (state.folder / "journal").read_bytes()
        finally:
            cloud.destroy("demo")


def test_secrets_lie_in_the_clusters_own_folder_until_they_are_sent(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    """A launch that is killed leaves nothing of them where the cluster's end would not remove it."""
    state, push = ClusterState("demo"), LocalTransport.push
    places = []

    def pushing(self: LocalTransport, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        if any(SECRET in path.read_bytes() for path in source.rglob("*") if path.is_file()):
            places.append(source)
        push(self, node, source, target, delete=delete)

    monkeypatch.setattr(LocalTransport, "push", pushing)
    with LocalProvisioner(config) as cloud:
        try:
            launch(monkeypatch, config, Engine(works=True))
        finally:
            cloud.destroy("demo")
    assert len(places) == 2
    assert all(path.is_relative_to(state.folder) and not path.exists() for path in places)
    (state.make_staging() / "left").write_bytes(SECRET)
    assert list(state.make_staging().iterdir()) == []
    assert state.make_staging().stat().st_mode & 0o777 == 0o700


def test_who_adds_nodes_with_other_packages_is_warned(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    told: list[str] = []
    state = ClusterState("demo")
    with LocalProvisioner(config) as cloud:
        try:
            file = launch(monkeypatch, config, Engine(works=True))
            assert any(name == "toil-core" for name, _, _ in file.packages)
            scaled(monkeypatch, Engine(works=True), "2", told)
            assert not any("warning" in line for line in told)
            others = [(name, "0.1" if name == "msgspec" else version, digest) for name, version, digest in file.packages]
            state.write(msgspec.structs.replace(file, packages=tuple(others)))
            scaled(monkeypatch, Engine(works=True), "3", told)
            (warning,) = [line for line in told if "warning" in line]
            assert f"not what the others have: msgspec {msgspec.__version__} (there 0.1); " in warning
        finally:
            cloud.destroy("demo")


def test_differences_of_packages_are_told() -> None:
    there = [("same", "1", "a"), ("older", "1", "b"), ("edited", "2", "c"), ("gone", "3", "d")]
    here = [("same", "1", "a"), ("older", "2", "e"), ("edited", "2", "f"), ("new", "4", "g")]
    assert differences(there, here) == ["edited 2 with other files", "no gone (there 3)", "new 4 (there none)", "older 2 (there 1)"]


def test_adding_and_launching_may_be_interrupted_twice(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    """The second Ctrl-C is heeded at once, and whoever gave it is told what is left and how it goes."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with LocalProvisioner(config) as cloud:
        try:
            launch(monkeypatch, config, Engine(works=True))
            with monkeypatch.context() as interrupted:
                interrupted.setattr(Launch, "run", interrupt)
                with pytest.raises(Interrupted, match="no nodes were added to demo, as that was interrupted; what was half made is removed"):
                    scaled(monkeypatch, Engine(works=True), "3", [])
                interrupted.setattr(Launch, "settle", interrupt)
                with pytest.raises(Interrupted, match=r"removing it was interrupted too.*`toil scale-cluster demo -w N`, with the number of before"):
                    scaled(monkeypatch, Engine(works=True), "3", [])
                cloud.destroy("demo")
                ClusterState("demo").forget()
                with pytest.raises(Interrupted, match=r"the launch of demo was interrupted; removing it was interrupted too.*`toil destroy-cluster demo`"):
                    launch(monkeypatch, config, Engine(works=True))
                assert ClusterState("demo").exists(), "so that the command that it names knows what to remove"
        finally:
            cloud.destroy("demo")


def test_the_phases_of_nodes() -> None:
    steps = [Step("image", "started", 1), Step("a/reach", "started", 1), Step("b/ready", "started", 1), Step("b/ready", "done", 2), Step("c/install", "failed", 3, "full")]
    assert phases_of(steps) == {"": "image", "a": "reach", "b": "up", "c": "install: full"}


def test_a_line_of_the_journal_that_was_cut_off_is_left_out(config: Config) -> None:
    state = ClusterState("demo")
    with state.locked():
        state.note("keys", "started")
        with (state.folder / "journal").open("ab") as file:
            file.write(b'{"phase":"ke')
        assert [step.phase for step in state.journal()] == ["keys"]
        with pytest.raises(UsageError, match="another command works on cluster demo"), state.locked():
            pass
