from __future__ import annotations

import pytest

from toil_core.cluster.scaling import change
from toil_core.cluster.wanted import Offer, parse_workers
from toil_core.errors import UsageError
from toil_core.provisioner import Node

LEADER = Node("leader", "big", "leader", launched=1)


def worker(number: int, type: str = "small", *, preemptible: bool = False) -> Node:
    return Node(f"worker-{number}", type, "worker", preemptible, launched=number)


def test_more_of_what_most_are() -> None:
    done = change([LEADER, worker(1), worker(2), worker(3, "large")], parse_workers("5"), None, disk=7)
    assert [(node.name, node.type, node.disk) for node in done.add] == [("worker-4", "small", 7), ("worker-5", "small", 7)]
    assert done.remove == ()


def test_less_takes_the_youngest_and_the_idle_first() -> None:
    nodes = [LEADER, worker(1), worker(2), worker(3)]
    assert change(nodes, parse_workers("1"), None).remove == ("worker-3", "worker-2")
    assert change(nodes, parse_workers("2"), None, loads={"worker-3": 4, "worker-2": 0, "worker-1": 2}).remove == ("worker-2",)
    assert change(nodes, parse_workers("0"), None).remove == ("worker-3", "worker-2", "worker-1")


def test_as_many_as_there_are_changes_nothing() -> None:
    done = change([LEADER, worker(1)], parse_workers("1"), None)
    assert (done.add, done.remove) == ((), ())


def test_of_one_type_leaves_others_alone() -> None:
    nodes = [LEADER, worker(1), worker(2, preemptible=True), worker(3, "large")]
    done = change(nodes, parse_workers("small=0,small:0.01=2"), None)
    assert done.remove == ("worker-1",)
    assert [(node.name, node.type, node.preemptible, node.bid) for node in done.add] == [("worker-4", "small", True, 0.01)]


def test_names_of_several_types_are_not_used_twice() -> None:
    done = change([LEADER], parse_workers("a=2,b=1"), None)
    assert [(node.name, node.type) for node in done.add] == [("worker-1", "a"), ("worker-2", "a"), ("worker-3", "b")]


def test_a_type_has_to_be_known() -> None:
    with pytest.raises(UsageError, match="of which type"):
        change([LEADER], parse_workers("1"), None)
    assert change([LEADER], parse_workers("1"), Offer("small")).add[0].type == "small"


def test_a_range_is_for_autoscaling() -> None:
    with pytest.raises(UsageError, match="0-5: a range is for a cluster that grows"):
        change([LEADER], parse_workers("0-5"), None)


def test_names_of_nodes_that_are_gone_are_not_given_again() -> None:
    done = change([LEADER, worker(1)], parse_workers("2"), None, used={"leader", "", "worker-4", "machines"})
    assert [node.name for node in done.add] == ["worker-5"]


def test_a_node_that_does_not_answer_goes_first() -> None:
    nodes = [LEADER, worker(1), worker(2), worker(3)]
    assert change(nodes, parse_workers("2"), None, loads={"worker-1": -1, "worker-2": 0, "worker-3": 0}).remove == ("worker-1",)
