from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toil_core.cluster.wanted import (
    Offer,
    WantedNode,
    Workers,
    check_name,
    check_types,
    more_workers,
    parse_offer,
    parse_storage,
    parse_workers,
    wanted_nodes,
)
from toil_core.errors import BadOption
from toil_core.provisioner import NodeType

CATALOG = [NodeType("m5.large", 2, 8 << 30, price=0.096, spot_price=0.03), NodeType("m5.xlarge", 4, 16 << 30, price=0.192)]


@pytest.mark.parametrize("name", ["a", "genomes-2", "x" * 40])
def test_names_of_clusters(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(("name", "hint"), [("My_Cluster", "my-cluster would do"), ("", "cannot be named ''"), ("../x", "x would do"), ("x" * 41, "at the most 40")])
def test_names_that_no_cluster_can_have(name: str, hint: str) -> None:
    with pytest.raises(BadOption, match=hint):
        check_name(name)


def test_offers() -> None:
    assert parse_offer("m5.large") == Offer("m5.large")
    assert parse_offer("m5.large:0.05") == Offer("m5.large", True, 0.05)
    assert parse_offer("m5.large:spot") == Offer("m5.large", True)


@pytest.mark.parametrize("text", ["", ":0.1", "m5.large:", "m5.large:cheap", "m5.large:-1", "m5.large:0", "m5.large:nan", "m5.large:inf"])
def test_offers_that_are_none(text: str) -> None:
    with pytest.raises(BadOption, match=r"is no (node type|bid)"):
        parse_offer(text)


@given(st.builds(Offer, st.from_regex(r"[a-z][a-z0-9.]{0,8}", fullmatch=True), st.just(True), st.none() | st.floats(0.001, 100).map(lambda bid: float(f"{bid:g}"))))
def test_an_offer_reads_as_it_is_written(offer: Offer) -> None:
    assert parse_offer(str(offer)) == offer


def test_numbers_of_workers() -> None:
    assert parse_workers("3") == (Workers(None, 3, 3),)
    assert parse_workers("0-10") == (Workers(None, 0, 10),)
    assert parse_workers("m5.large=2,m5.large:0.05=0-10") == (Workers(Offer("m5.large"), 2, 2), Workers(Offer("m5.large", True, 0.05), 0, 10))


@pytest.mark.parametrize("text", ["", "x", "m5.large", "m5.large=", "=3", "-1", "5-2", "3,", "m5.large=99999999", "1,2", "m5.large=1,m5.large=2", "m5.large:0.05=1,m5.large:0.050=0-2"])
def test_numbers_of_workers_that_are_none(text: str) -> None:
    with pytest.raises(BadOption):
        parse_workers(text)


def test_storage_is_in_gib_unless_it_says_otherwise() -> None:
    assert parse_storage("50") == 50 << 30
    assert parse_storage("500M") == 500_000_000
    with pytest.raises(BadOption, match="'lots' is no size of a disk; write 50 for 50 GiB"):
        parse_storage("lots")


def test_the_leader_is_on_demand_and_of_the_type_of_nodes() -> None:
    nodes = wanted_nodes(None, Offer("m5.large", True, 0.05), parse_workers("2"), leader_disk=1, worker_disk=2)
    assert nodes == (
        WantedNode("leader", "leader", "m5.large", disk=1),
        WantedNode("worker-1", "worker", "m5.large", True, 0.05, 2),
        WantedNode("worker-2", "worker", "m5.large", True, 0.05, 2),
    )


def test_the_leader_may_be_of_its_own_type_and_workers_of_several() -> None:
    nodes = wanted_nodes(Offer("m5.xlarge"), None, parse_workers("m5.large=1,m5.large:spot=1-5"))
    assert [(node.name, node.type, node.preemptible) for node in nodes] == [
        ("leader", "m5.xlarge", False), ("worker-1", "m5.large", False), ("worker-2", "m5.large", True),
    ]  # fmt: skip


def test_a_type_has_to_be_said() -> None:
    with pytest.raises(BadOption, match="--node-type"):
        wanted_nodes(None, None, ())
    with pytest.raises(BadOption, match="--node-type"):
        wanted_nodes(Offer("m5.large"), None, parse_workers("2"))
    with pytest.raises(BadOption, match="--node-type"):
        wanted_nodes(Offer("m5.large"), None, parse_workers("0-2"))


def test_no_number_of_a_worker_is_used_twice() -> None:
    assert [node.name for node in more_workers(["leader", "worker-1", "worker-7"], Offer("t"), 2)] == ["worker-8", "worker-9"]
    assert [node.name for node in more_workers(["leader"], Offer("t"), 1, first=4)] == ["worker-4"]


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (Offer("m5.larg"), "did you mean m5.large"),
        (Offer("zzz"), "there are m5.large, m5.xlarge"),
        (Offer("m5.xlarge", True), "no spot price"),
        (Offer("m5.large", True, 0.01), "below the present price of 0.03"),
    ],
)
def test_what_cannot_be_had(offer: Offer, words: str) -> None:
    with pytest.raises(BadOption, match=words):
        check_types([Offer("m5.large"), offer], CATALOG)


def test_what_can_be_had() -> None:
    check_types([Offer("m5.large"), Offer("m5.large", True, 0.05), Offer("m5.xlarge")], CATALOG)
