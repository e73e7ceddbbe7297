"""The provisioner contract as tests: subclass, give the fixture `open_provisioner`, get every case.

The cases make machines, two or three at a time and of the cheapest type, in clusters whose names begin with `toil-test-`; each
destroys its clusters. A cloud that is billed should be a simulated one here.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import ClassVar

import pytest

from toil_core.errors import UsageError
from toil_core.provisioner import HasClusters, HasInventory, HasTransport, Node, NodeRequest, NodeType, Provisioner
from toil_core.sync_transport import TransportOptions
from toil_core.testing.abilities import check_abilities

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE2kHO5c0aGZ3q0u0Xw1qB8m0J8Tj2cN3v9dGk6m3v1P toil-test"
"""A public key to which nobody has the private one."""
_clusters = itertools.count(1)


class ProvisionerContract:
    """Every case of the contract."""

    seconds: ClassVar[float] = 60.0
    """How long a machine may take to get an address, or to go."""
    abilities: ClassVar[Collection[type]] = ()
    """The optional abilities that the driver is meant to have, `HasInventory` for example; cases of others are skipped where it has not these."""

    @pytest.fixture
    def open_provisioner(self) -> Callable[[], Provisioner]:
        """Connects to the cloud, anew at each call; what it made is seen by the next."""
        raise NotImplementedError("give the fixture open_provisioner")

    @pytest.fixture
    def provisioner(self, open_provisioner: Callable[[], Provisioner]) -> Iterator[Provisioner]:
        """A connection."""
        with open_provisioner() as provisioner:
            yield provisioner

    @pytest.fixture
    def cluster(self, provisioner: Provisioner) -> Iterator[str]:
        """The name of a prepared cluster, which is destroyed afterwards."""
        name = f"toil-test-{os.getpid()}-{next(_clusters)}"
        provisioner.prepare(name)
        try:
            yield name
        finally:
            provisioner.destroy(name)

    def launch(self, provisioner: Provisioner, cluster: str, *names: str, preemptible: bool = False) -> dict[str, Node]:
        """Ask for machines of the cheapest type and wait for their addresses."""
        requests = [self.request(provisioner, name, preemptible=preemptible) for name in names]
        assert list(provisioner.launch(cluster, requests)) == []
        return self.until(provisioner, cluster, lambda nodes: set(names) <= {name for name, node in nodes.items() if node.private_address})

    def request(self, provisioner: Provisioner, name: str, *, preemptible: bool = False) -> NodeRequest:
        """A request for a machine of the cheapest type; the one named `leader` is the leader."""
        type = cheapest(provisioner.catalog(), preemptible=preemptible)
        return NodeRequest(name, type.name, "leader" if name == "leader" else "worker", preemptible=preemptible, ssh_key=SSH_KEY)

    def until(self, provisioner: Provisioner, cluster: str, right: Callable[[dict[str, Node]], bool]) -> dict[str, Node]:
        """The nodes by name, as soon as they are as wanted; clouds tell of nothing by themselves."""
        deadline, pause = time.monotonic() + self.seconds, threading.Event()
        while True:
            listed = list(provisioner.nodes(cluster))
            nodes = {node.name: node for node in listed}
            assert len(nodes) == len(listed), f"a name twice: {listed}"
            if right(nodes):
                return nodes
            assert time.monotonic() < deadline, f"still {sorted(nodes.values(), key=lambda node: node.name)}"
            pause.wait(0.1)

    def test_it_has_the_abilities_that_it_claims(self, provisioner: Provisioner) -> None:
        check_abilities(provisioner, self.abilities)

    def test_the_catalog_tells_what_machines_have(self, provisioner: Provisioner) -> None:
        types = list(provisioner.catalog())
        assert types
        assert len({type.name for type in types}) == len(types)
        for type in types:
            assert type.name
            assert type.cores > 0
            assert type.memory > 0
            assert type.disk >= 0
            assert all(price is None or price >= 0 for price in (type.price, type.spot_price))

    def test_what_was_asked_for_comes(self, provisioner: Provisioner, cluster: str) -> None:
        before = time.time()
        nodes = self.launch(provisioner, cluster, "leader", "worker-1")
        type = cheapest(provisioner.catalog()).name
        assert {name: (node.role, node.type, node.preemptible) for name, node in nodes.items()} == {
            "leader": ("leader", type, False),
            "worker-1": ("worker", type, False),
        }
        assert len({node.private_address for node in nodes.values()}) == 2
        for node in nodes.values():
            assert before - 60 <= node.launched <= time.time() + 60  # clocks differ
            assert 0 < node.port < 65536

    def test_a_preemptible_one_is_known_as_such(self, provisioner: Provisioner, cluster: str) -> None:
        if not any(type.spot_price is not None for type in provisioner.catalog()):
            with pytest.raises(UsageError):
                provisioner.launch(cluster, [NodeRequest("worker-1", cheapest(provisioner.catalog()).name, "worker", preemptible=True)])
            return
        self.launch(provisioner, cluster, "leader")
        nodes = self.launch(provisioner, cluster, "worker-1", preemptible=True)
        assert {name: node.preemptible for name, node in nodes.items()} == {"leader": False, "worker-1": True}

    def test_nothing_asked_for_is_nothing_made(self, provisioner: Provisioner, cluster: str) -> None:
        assert list(provisioner.launch(cluster, [])) == []
        assert list(provisioner.nodes(cluster)) == []
        provisioner.terminate(cluster, [])

    def test_a_name_that_exists_is_left_alone(self, provisioner: Provisioner, cluster: str) -> None:
        before = self.launch(provisioner, cluster, "worker-1")
        after = self.launch(provisioner, cluster, "worker-1", "worker-2")
        assert after["worker-1"] == before["worker-1"]
        assert set(after) == {"worker-1", "worker-2"}

    def test_a_name_asked_for_from_many_sides_makes_one_machine(self, open_provisioner: Callable[[], Provisioner], cluster: str) -> None:
        def one(_: int) -> None:
            with open_provisioner() as mine:
                mine.launch(cluster, [self.request(mine, "worker-1")])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(4)))
        with open_provisioner() as provisioner:
            assert set(self.launch(provisioner, cluster, "worker-1")) == {"worker-1"}

    def test_machines_stay_and_are_found_by_the_next_who_connects(
        self, open_provisioner: Callable[[], Provisioner], provisioner: Provisioner, cluster: str
    ) -> None:
        with open_provisioner() as first:
            made = self.launch(first, cluster, "leader")
        with open_provisioner() as second:
            assert self.until(second, cluster, bool) == made
            second.terminate(cluster, ["leader"])
        self.until(provisioner, cluster, lambda nodes: not nodes)

    def test_a_type_that_there_is_not_is_told_and_nothing_is_made(self, provisioner: Provisioner, cluster: str) -> None:
        right = self.request(provisioner, "worker-1")
        wrong = NodeRequest("worker-2", f"{right.type}x", "worker", ssh_key=SSH_KEY)
        with pytest.raises(UsageError) as error:
            provisioner.launch(cluster, [right, wrong])
        assert f"{right.type}x" in str(error.value)
        assert right.type in str(error.value).replace(f"{right.type}x", ""), "name the closest type"
        assert list(provisioner.nodes(cluster)) == []

    def test_terminated_ones_are_gone_and_no_others(self, provisioner: Provisioner, cluster: str) -> None:
        self.launch(provisioner, cluster, "worker-1", "worker-2", "worker-10")
        provisioner.terminate(cluster, ["worker-1"])
        nodes = self.until(provisioner, cluster, lambda nodes: "worker-1" not in nodes)
        assert set(nodes) == {"worker-2", "worker-10"}

    def test_terminating_what_is_not_there_is_harmless(self, provisioner: Provisioner, cluster: str) -> None:
        self.launch(provisioner, cluster, "worker-1")
        provisioner.terminate(cluster, ["worker-1", "worker-7"])
        provisioner.terminate(cluster, ["worker-1"])
        self.until(provisioner, cluster, lambda nodes: not nodes)

    def test_a_name_can_be_used_again(self, provisioner: Provisioner, cluster: str) -> None:
        self.launch(provisioner, cluster, "worker-1")
        provisioner.terminate(cluster, ["worker-1"])
        self.until(provisioner, cluster, lambda nodes: not nodes)
        assert set(self.launch(provisioner, cluster, "worker-1")) == {"worker-1"}

    def test_preparing_twice_is_harmless(self, provisioner: Provisioner, cluster: str) -> None:
        made = self.launch(provisioner, cluster, "worker-1")
        provisioner.prepare(cluster)
        assert self.until(provisioner, cluster, bool) == made

    def test_destroying_removes_all_and_twice_is_harmless(self, provisioner: Provisioner, cluster: str) -> None:
        self.launch(provisioner, cluster, "leader", "worker-1")
        provisioner.destroy(cluster)
        assert list(provisioner.nodes(cluster)) == []
        if isinstance(provisioner, HasInventory):
            assert list(provisioner.inventory(cluster)) == []
        provisioner.destroy(cluster)
        provisioner.terminate(cluster, ["worker-1"])

    def test_a_destroyed_cluster_can_be_made_again(self, provisioner: Provisioner, cluster: str) -> None:
        provisioner.destroy(cluster)
        provisioner.prepare(cluster)
        assert set(self.launch(provisioner, cluster, "leader")) == {"leader"}

    def test_what_never_was_has_no_nodes_and_can_be_destroyed(self, provisioner: Provisioner) -> None:
        assert list(provisioner.nodes("toil-test-never-was")) == []
        provisioner.terminate("toil-test-never-was", ["worker-1"])
        provisioner.destroy("toil-test-never-was")
        if isinstance(provisioner, HasInventory):
            assert list(provisioner.inventory("toil-test-never-was")) == []

    def test_a_cluster_whose_name_begins_alike_is_another(self, provisioner: Provisioner, cluster: str) -> None:
        longer = f"{cluster}-b"
        provisioner.prepare(longer)
        try:
            kept = self.launch(provisioner, longer, "leader", "worker-1")
            self.launch(provisioner, cluster, "leader")
            assert set(self.until(provisioner, cluster, bool)) == {"leader"}
            provisioner.terminate(cluster, ["worker-1"])
            provisioner.destroy(cluster)
            assert self.until(provisioner, longer, bool) == kept
        finally:
            provisioner.destroy(longer)

    def test_all_that_there_is_can_be_listed(self, provisioner: Provisioner, cluster: str) -> None:
        self.launch(provisioner, cluster, "leader", "worker-1")
        if isinstance(provisioner, HasInventory):
            assert len(list(provisioner.inventory(cluster))) >= 2
        if isinstance(provisioner, HasClusters):
            assert cluster in set(provisioner.clusters())
            provisioner.destroy(cluster)
            assert cluster not in set(provisioner.clusters())

    def test_the_transport_is_named(self, provisioner: Provisioner, cluster: str) -> None:
        if isinstance(provisioner, HasTransport):
            options = provisioner.transport(cluster)
            assert options["transport"]
            assert set(options) <= {field.name for field in fields(TransportOptions)}


def cheapest(types: Sequence[NodeType], *, preemptible: bool = False) -> NodeType:
    """The type with the lowest price; unknown prices come last.

    Args:
        types: A catalog.
        preemptible: Whether only types count that can be had preemptible, at that price.
    """
    prices = {type: type.spot_price if preemptible else type.price for type in types}
    fitting = [type for type in types if not preemptible or type.spot_price is not None]
    return min(fitting, key=lambda type: (prices[type] is None, prices[type] or 0.0, type.memory, type.name))
