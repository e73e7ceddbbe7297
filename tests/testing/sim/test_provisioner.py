"""The simulated cloud keeps the contract when nothing goes wrong; each fault does what it says; and a seed says all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from toil_core.drivers.local_transport import LocalTransport
from toil_core.errors import Transient
from toil_core.options import Config
from toil_core.provisioner import HasClusters, HasInventory, HasNotices, Node, NodeRequest, NodeType, Provisioner
from toil_core.sync_transport import SyncTransport, TransportOptions, wait_for_node
from toil_core.testing.needs import small_disk
from toil_core.testing.provisioner import ProvisionerContract
from toil_core.testing.sim.chance import Chance, Fault
from toil_core.testing.sim.clock import Clock
from toil_core.testing.sim.provisioner import CLOUD_FAULTS, MACHINE_FAULTS, TYPES, SimulatedCloud, SimulatedProvisioner
from toil_core.testing.sim.transport import TRANSPORT_FAULTS, SimulatedTransport
from toil_core.testing.sync_transport import SyncTransportContract

C = "c1"


class RealTime:
    """The time that passes by itself, for suites that wait for real."""

    @property
    def now(self) -> float:
        return time.time()


class TestContract(ProvisionerContract):
    @pytest.fixture
    def open_provisioner(self) -> Callable[[], Provisioner]:
        cloud = SimulatedCloud(RealTime(), Chance(1, {}), boot=(0.0, 0.1))
        return lambda: SimulatedProvisioner(cloud)


class TestTransportContract(SyncTransportContract):
    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        (tmp_path / "nodes" / "n1").mkdir(parents=True)
        self.cloud = SimulatedCloud(RealTime(), Chance(1, {}), boot=(0.0, 0.0))
        return launched(self.cloud, "n1")

    @pytest.fixture
    def transport(self, node: Node, tmp_path: Path) -> Iterator[SyncTransport]:
        with SimulatedTransport(self.cloud, local(tmp_path)) as transport:
            yield transport

    @pytest.fixture
    def absent(self) -> Node:
        return Node("n2", "small", "worker", private_address="10.0.9.9")

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[PurePosixPath]:
        with small_disk(tmp_path / "disk") as folder:
            yield PurePosixPath(folder)


def local(folder: Path) -> LocalTransport:
    return LocalTransport(Config([TransportOptions(local_nodes=str(folder / "nodes"))]))


def cloud_with(*faults: tuple[str, str], seed: int = 1) -> SimulatedCloud:
    return SimulatedCloud(Clock(), Chance(seed, {}, [Fault(*fault) for fault in faults]))


def launched(cloud: SimulatedCloud, name: str = "n1", *, preemptible: bool = False, bid: float | None = None) -> Node:
    """A machine that is told at once, without waiting for its boot."""
    provisioner = SimulatedProvisioner(cloud)
    provisioner.prepare(C)
    assert not provisioner.launch(C, [NodeRequest(name, "small", "worker", preemptible=preemptible, bid=bid)])
    return cloud.machines[C, name].node


def wait(cloud: SimulatedCloud, seconds: float) -> None:
    assert isinstance(cloud.clock, Clock)
    cloud.clock.wait(seconds)


def names(cloud: SimulatedCloud) -> set[str]:
    return {node.name for node in SimulatedProvisioner(cloud).nodes(C)}


def reachable(cloud: SimulatedCloud, node: Node) -> bool:
    try:
        cloud.reached(node)
    except Transient:
        return False
    return True


def test_it_has_every_optional_ability_that_the_core_asks_for() -> None:
    provisioner = SimulatedProvisioner(cloud_with())
    assert all(isinstance(provisioner, ability) for ability in (HasInventory, HasClusters, HasNotices))


def test_a_machine_boots_first_without_an_address_then_without_an_answer() -> None:
    cloud = cloud_with()
    node = launched(cloud)
    machine = cloud.machines[C, "n1"]
    assert [each.private_address for each in SimulatedProvisioner(cloud).nodes(C)] == [""]
    wait(cloud, machine.boots - cloud.clock.now)
    assert list(SimulatedProvisioner(cloud).nodes(C)) == [node]
    assert not reachable(cloud, node)
    wait(cloud, machine.answers - cloud.clock.now)
    assert reachable(cloud, node)


def test_boots_take_times_of_their_own() -> None:
    cloud = cloud_with()
    for number in range(20):
        launched(cloud, f"n{number}")
    took = {machine.answers for machine in cloud.machines.values()}
    assert len(took) == 20
    assert all(30.0 <= at - cloud.clock.now <= 240.0 for at in took)


def test_prices_change_by_seed() -> None:
    def prices(seed: int) -> list[tuple[float, float]]:
        cloud, found = cloud_with(seed=seed), list[tuple[float, float]]()
        for _ in range(12):
            small, _, steady = SimulatedProvisioner(cloud).catalog()
            assert small.price is not None and small.spot_price is not None and steady.spot_price is None
            assert 0.09 <= small.price <= 0.11 and 0.02 <= small.spot_price <= 0.07
            found.append((small.price, small.spot_price))
            wait(cloud, 300.0)
        return found

    assert prices(1) == prices(1) != prices(2)
    assert len({spot for _, spot in prices(1)}) > 6


def test_a_call_may_fail_before_it_did_anything() -> None:
    cloud = cloud_with(("launch in c1 #1", "error before"), (f"nodes of {C} #1", "error before"))
    with pytest.raises(Transient):
        launched(cloud)
    with pytest.raises(Transient):
        names(cloud)
    assert names(cloud) == set()


def test_a_machine_may_be_launched_although_the_call_timed_out() -> None:
    cloud = cloud_with(("launch in c1 #1", "launched but timed out"))
    with pytest.raises(Transient):
        launched(cloud)
    assert names(cloud) == {"n1"}
    launched(cloud)  # asked again, it is the same one
    assert names(cloud) == {"n1"} and len(cloud.machines) == 1


@pytest.mark.parametrize("call", ["prepare", "terminate in", "destroy"])
def test_other_changes_may_happen_although_the_call_failed(call: str) -> None:
    cloud = cloud_with((f"{call} {C} #1", "error after"))
    provisioner = SimulatedProvisioner(cloud)
    calls: dict[str, Callable[[], None]] = {
        "prepare": lambda: provisioner.prepare(C),
        "terminate in": lambda: provisioner.terminate(C, ["n1"]),
        "destroy": lambda: provisioner.destroy(C),
    }
    if call != "prepare":
        launched(cloud)
    with pytest.raises(Transient):
        calls[call]()
    assert (names(cloud), list(provisioner.clusters())) == (set(), [] if call == "destroy" else [C])
    calls[call]()


def test_a_shortage_is_of_one_type_and_passes() -> None:
    cloud = cloud_with(("stock of small #1", "shortage"))
    provisioner = SimulatedProvisioner(cloud)
    provisioner.prepare(C)
    asked = [NodeRequest("n1", "small", "worker"), NodeRequest("n2", "small", "worker"), NodeRequest("n3", "large", "worker")]
    (short,) = provisioner.launch(C, asked)
    assert (short.type, short.preemptible, names(cloud)) == ("small", False, {"n3"})
    assert list(provisioner.launch(C, asked)) == [short]
    wait(cloud, short.until - cloud.clock.now)
    assert not provisioner.launch(C, asked)
    assert names(cloud) == {"n1", "n2", "n3"}


def test_one_that_is_dead_on_arrival_is_listed_and_never_answers() -> None:
    addresses = set()
    for seed in range(8):
        cloud = cloud_with(("machine c1/n1 #1", "dead on arrival"), seed=seed)
        node = launched(cloud)
        wait(cloud, 1e6)
        (listed,) = SimulatedProvisioner(cloud).nodes(C)
        addresses.add(bool(listed.private_address))
        assert not reachable(cloud, node)
    assert addresses == {True, False}, "some get an address, some never do"


def test_one_that_is_lost_goes_without_a_notice() -> None:
    cloud = cloud_with(("machine c1/n1 #1", "node lost"))
    node = launched(cloud)
    wait(cloud, cloud.machines[C, "n1"].ends - cloud.clock.now - 0.5)
    assert (names(cloud), dict(SimulatedProvisioner(cloud).notices(C))) == ({"n1"}, {})
    wait(cloud, 0.5)
    assert names(cloud) == set() and not reachable(cloud, node)
    again = launched(cloud)
    assert names(cloud) == {"n1"} and again.private_address != node.private_address


@pytest.mark.parametrize("seconds", [120, 30, 0])
def test_one_that_is_taken_away_is_told_of_so_long_before(seconds: int) -> None:
    cloud = cloud_with(("machine c1/n1 #1", f"preempted {seconds}"))
    launched(cloud, preemptible=True)
    provisioner, ends = SimulatedProvisioner(cloud), cloud.machines[C, "n1"].ends
    wait(cloud, ends - seconds - cloud.clock.now - 0.25)
    assert dict(provisioner.notices(C)) == {}
    wait(cloud, 0.5)
    assert dict(provisioner.notices(C)) == ({"n1": ends} if seconds else {})
    wait(cloud, seconds)
    assert (names(cloud), dict(provisioner.notices(C))) == (set(), {})


def test_only_preemptible_ones_are_taken_away() -> None:
    cloud = cloud_with(("machine c1/n1 #1", "preempted 0"))
    launched(cloud)
    wait(cloud, 1e6)
    assert names(cloud) == {"n1"}


def test_who_is_outbid_loses_the_machine_and_gets_none() -> None:
    cloud = cloud_with()
    spot = cloud.spot_price("small", cloud.clock.now)
    launched(cloud, preemptible=True, bid=spot)
    while not (notices := SimulatedProvisioner(cloud).notices(C)):
        assert cloud.spot_price("small", cloud.clock.now) <= spot
        wait(cloud, 300.0 - cloud.clock.now % 300.0)
    assert notices["n1"] == cloud.clock.now + 120.0
    wait(cloud, 120.0)
    assert names(cloud) == set()
    (short,) = SimulatedProvisioner(cloud).launch(C, [NodeRequest("n1", "small", "worker", preemptible=True, bid=spot)])
    assert short.until > cloud.clock.now


def test_one_that_is_cut_off_comes_back() -> None:
    cloud = cloud_with(("machine c1/n1 #1", "cut off"))
    node, (begins, ends) = launched(cloud), cloud.machines[C, "n1"].cut
    wait(cloud, begins - cloud.clock.now)
    assert names(cloud) == {"n1"} and not reachable(cloud, node)
    wait(cloud, ends - begins)
    assert names(cloud) == {"n1"}
    wait(cloud, 240.0)
    assert reachable(cloud, node)


def test_every_kind_of_fault_comes_of_a_mix() -> None:
    found = {fault.kind for seed in range(60) for fault in weather(seed)[1]}
    assert found >= set(CLOUD_FAULTS)


def test_the_same_seed_gives_the_same_record() -> None:
    assert weather(3) == weather(3)
    assert weather(3)[0] != weather(4)[0]


def weather(seed: int) -> tuple[list[str], list[Fault]]:
    """Keep six machines up for two hours, whatever happens."""
    cloud = SimulatedCloud(Clock(), Chance(seed, dict.fromkeys(CLOUD_FAULTS, 0.05), most=1000))
    provisioner = SimulatedProvisioner(cloud)
    wanted = [NodeRequest(f"w{number}", TYPES[number % 2].name, "worker", preemptible=number % 3 > 0) for number in range(6)]
    for step in range(120):
        with suppress(Transient):
            provisioner.prepare(C)
            provisioner.launch(C, wanted)
            if step % 10 == 9:
                provisioner.terminate(C, [wanted[step // 10 % 6].name])
            provisioner.notices(C)
            if step == 100:
                provisioner.destroy(C)
        wait(cloud, 60.0)
    return cloud.record, cloud.chance.happened


# The transport


class SimulatedWait(threading.Event):
    """Waits on the simulated clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.wait(timeout)
        return False


@pytest.fixture
def up(tmp_path: Path) -> Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]]:
    def make(*faults: tuple[str, str], booted: bool = True) -> tuple[SimulatedCloud, Node, SimulatedTransport]:
        (tmp_path / "nodes" / "n1").mkdir(parents=True)
        cloud = cloud_with(*faults)
        node = launched(cloud)
        if booted:
            wait(cloud, 240.0)
        return cloud, node, SimulatedTransport(cloud, local(tmp_path))

    return make


def await_node(cloud: SimulatedCloud, node: Node, transport: SyncTransport, seconds: float) -> None:
    assert isinstance(cloud.clock, Clock)
    wait_for_node(transport, node, seconds, give_up=SimulatedWait(cloud.clock), clock=lambda: cloud.clock.now)


def test_a_node_that_boots_is_waited_for(up: Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]]) -> None:
    cloud, node, transport = up(booted=False)
    answers = cloud.machines[C, "n1"].answers
    await_node(cloud, node, transport, 600.0)
    assert answers <= cloud.clock.now < answers + 4.0
    assert transport.run(node, ["echo", "up"]).stdout == b"up\n"


def test_a_node_that_is_dead_on_arrival_is_given_up(up: Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]]) -> None:
    cloud, node, transport = up(("machine c1/n1 #1", "dead on arrival"), booted=False)
    begun = cloud.clock.now
    with pytest.raises(Transient, match="n1 does not answer"):
        await_node(cloud, node, transport, 600.0)
    assert 590.0 < cloud.clock.now - begun <= 600.0


@pytest.mark.parametrize("fault", TRANSPORT_FAULTS)
def test_a_lost_connection_says_nothing_of_the_command(
    fault: str, up: Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]], tmp_path: Path
) -> None:
    _, node, transport = up(("run on n1 #1", fault), ("push on n1 #1", fault), ("pull on n1 #1", fault))
    (tmp_path / "given").write_text("x")
    calls: Iterable[Callable[[], object]] = (
        lambda: transport.run(node, ["touch", "ran"]),
        lambda: transport.push(node, tmp_path / "given", PurePosixPath("pushed")),
        lambda: transport.pull(node, PurePosixPath("pushed"), tmp_path / "pulled"),
    )
    for call, effect in zip(calls, ("nodes/n1/ran", "nodes/n1/pushed", "pulled"), strict=True):
        with pytest.raises(Transient, match="connection was lost"):
            call()
        assert (tmp_path / effect).exists() == (fault == "lost after")
        call()
        assert (tmp_path / effect).exists()


@pytest.mark.parametrize("fault", ["node lost", "cut off"])
def test_nothing_is_done_on_a_node_that_does_not_answer(
    fault: str, up: Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]], tmp_path: Path
) -> None:
    assert fault in MACHINE_FAULTS
    cloud, node, transport = up(("machine c1/n1 #1", fault), booted=False)
    machine = cloud.machines[C, "n1"]
    wait(cloud, min(machine.ends, machine.cut[0]) - cloud.clock.now)
    with pytest.raises(Transient, match="n1 does not answer"):
        transport.run(node, ["touch", "ran"])
    assert not (tmp_path / "nodes" / "n1" / "ran").exists()


def test_an_address_that_another_machine_has_now_is_not_the_former_node(
    up: Callable[..., tuple[SimulatedCloud, Node, SimulatedTransport]],
) -> None:
    cloud, node, transport = up()
    SimulatedProvisioner(cloud).terminate(C, ["n1"])
    again = launched(cloud)
    wait(cloud, 240.0)
    assert transport.run(again, ["true"]).returncode == 0
    with pytest.raises(Transient):
        transport.run(node, ["true"])


def test_types_of_ones_own_can_be_simulated() -> None:
    cloud = SimulatedCloud(Clock(), Chance(1, {}), [NodeType("mine", 1, 1 << 30, price=1.0)], frozenset())
    (mine,) = SimulatedProvisioner(cloud).catalog()
    assert (mine.name, mine.spot_price is not None) == ("mine", True)
