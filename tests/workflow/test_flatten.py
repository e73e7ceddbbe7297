"""From linked jobs to records: every graph that cannot run is refused, and no other."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toil_core import Job, job
from toil_core.batch_system import Requirement
from toil_core.errors import GraphError
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.policy import Policy

POLICY = Policy(Requirement(memory=1, disk=1), max_cores=4, max_memory=1 << 30, max_disk=1 << 30)


@job
def step(job: Job[Any], *values: Any) -> None: ...


def nodes(count: int) -> list[Job[Any]]:
    return [job(step, name=f"j{number}")() for number in range(count)]


def test_records() -> None:
    root, left, right, last = nodes(4)
    root.add_child(left)
    root.add_child(right)
    root.add_child(left)
    root.add_follow_on(last)
    last.args = (left, [right.rv(1)], left.rv("x"))  # type: ignore[attr-defined]
    flat, payload = flatten_root(root, "0", POLICY)
    assert [new.id for new in flat.jobs] == ["0.0", "0.1", "0.2", "0.3"]
    assert flat.children == ("0.0",)
    assert flat.jobs[0].children == ("0.1", "0.2")
    assert flat.jobs[0].follow_ons == ("0.3",)
    assert flat.jobs[3].needs == ("0.1", "0.2")
    for new in flat.jobs:
        assert zlib.crc32(payload[slice(*new.body)]) == new.crc
    assert [kind.name for kind in flat.kinds] == ["j0", "j1", "j2", "j3"]


def test_jobs_of_one_function_share_a_kind() -> None:
    root = step()
    for _ in range(5):
        root.add_child(step())
    root.add_child(step.requiring(cores=2)())
    flat, _ = flatten_root(root, "0", POLICY)
    assert len(flat.kinds) == 2


def test_the_same_graph_can_be_flattened_again() -> None:
    root = step()
    root.add_child(step())
    assert flatten_root(root, "0", POLICY)[1] == flatten_root(root, "0", POLICY)[1]


@pytest.mark.parametrize("method", ["add_child", "add_follow_on"])
def test_a_cycle(method: str) -> None:
    root, left, right = nodes(3)
    root.add_child(left)
    getattr(left, method)(right)
    getattr(right, method)(left)
    with pytest.raises(GraphError, match="wait for one another: 'j[12]' → 'j[12]' → 'j[12]'"):
        flatten_root(root, "0", POLICY)


def test_a_cycle_through_the_root() -> None:
    root, child = nodes(2)
    root.add_child(child).add_child(root)
    with pytest.raises(GraphError, match="wait for one another"):
        flatten_root(root, "0", POLICY)


def test_a_job_after_itself() -> None:
    root = step()
    root.add_child(root)
    with pytest.raises(GraphError, match="wait for one another: 'step' → 'step'"):
        flatten_root(root, "0", POLICY)


def test_a_child_that_waits_for_a_follow_on() -> None:
    root, child, below, follow_on = nodes(4)
    root.add_child(child).add_child(below)
    root.add_follow_on(follow_on)
    below.args = (follow_on.rv(),)  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match="wait for one another") as caught:
        flatten_root(root, "0", POLICY)
    assert "'j2'" in str(caught.value)
    assert "'j3'" in str(caught.value)


def test_two_roots() -> None:
    root, other, child = nodes(3)
    root.add_child(child)
    other.add_child(child)
    with pytest.raises(GraphError, match="job 'j2' comes after job 'j1' too, which is not part of this graph"):
        flatten_root(root, "0", POLICY)


def test_a_root_that_comes_after_another() -> None:
    root, other = nodes(2)
    other.add_child(root)
    with pytest.raises(GraphError, match="job 'j0' comes after job 'j1'"):
        flatten_root(root, "0", POLICY)


def test_a_promise_of_a_job_that_was_not_added() -> None:
    root, child, other = nodes(3)
    root.add_child(child)
    child.args = ({"deep": [other]},)  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match="job 'j1' needs the value of job 'j2', which was never added"):
        flatten_root(root, "0", POLICY)


def test_a_promise_of_itself() -> None:
    root = step()
    root.args = (root,)  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match="wait for one another: 'step' → 'step'"):
        flatten_root(root, "0", POLICY)


def test_no_job_at_all() -> None:
    with pytest.raises(GraphError, match="starts with a job, not with <job function 'step'>"):
        flatten_root(step, "0", POLICY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"cores": 5}, "job 'big' asks for 5 cores; --max-cores allows 4"),
        ({"memory": "2 GiB"}, "job 'big' asks for 2 GiB of memory; --max-memory allows 1 GiB"),
        ({"disk": "1025 MiB"}, "job 'big' asks for 1025 MiB of disk; --max-disk allows 1 GiB"),
    ],
)
def test_more_than_allowed(needs: dict[str, Any], words: str) -> None:
    root = step()
    root.add_child(step.requiring(name="big", **needs)())
    with pytest.raises(GraphError, match=words):
        flatten_root(root, "0", POLICY)


def test_a_long_chain_and_a_wide_fan() -> None:
    root = last = step()
    for _ in range(100_000):
        last = last.add_child(step(last))
    assert len(flatten_root(root, "0", POLICY)[0].jobs) == 100_001
    root = step()
    children = [root.add_child(step(number)) for number in range(100_000)]
    root.add_follow_on(step(children))
    flat, _ = flatten_root(root, "0", POLICY)
    assert len(flat.jobs[0].children) == 100_000
    assert len(flat.jobs[-1].needs) == 100_000


Edge = tuple[int, int]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge], list[Edge], list[Edge]]:
    size = draw(st.integers(1, 7))
    number = st.integers(0, size - 1)
    forward = st.tuples(number, number).map(lambda pair: (min(pair), max(pair))).filter(lambda pair: pair[0] != pair[1])
    edges = st.lists(forward | st.tuples(number, number) if draw(st.booleans()) else forward, max_size=size) if size > 1 else st.just([])
    return size, draw(edges), draw(edges), draw(edges)


def reached(children: list[Edge], follow_ons: list[Edge]) -> set[int]:
    found = {0}
    while more := {after for before, after in children + follow_ons if before in found} - found:
        found |= more
    return found


def can_all_run(known: set[int], children: list[Edge], follow_ons: list[Edge], promises: list[Edge]) -> bool:
    """Run them by the plain rules, over and over, until nothing moves."""
    ran: set[int] = set()

    def complete(job: int, seen: frozenset[int] = frozenset()) -> bool:
        below = [after for before, after in children + follow_ons if before == job]
        return job in ran and all(complete(one, seen | {job}) for one in below if one not in seen)

    def ready(job: int) -> bool:
        for before, after in children:
            if after == job and before not in ran:
                return False
        for before, after in follow_ons:
            if after == job and not (before in ran and all(complete(one) for top, one in children if top == before)):
                return False
        return all(producer in ran for producer, consumer in promises if consumer == job)

    while more := {job for job in known - ran if ready(job)}:
        ran |= more
    return ran == known


@settings(max_examples=400, deadline=None)
@given(graphs())
def test_exactly_the_graphs_that_can_run_are_taken(graph: tuple[int, list[Edge], list[Edge], list[Edge]]) -> None:
    size, children, follow_ons, promises = graph
    made = nodes(size)
    for before, after in children:
        made[before].add_child(made[after])
    for before, after in follow_ons:
        made[before].add_follow_on(made[after])
    for producer, consumer in promises:
        made[consumer].args += (made[producer],)  # type: ignore[attr-defined]
    known = reached(children, follow_ons)
    good = all(before in known for before, after in children + follow_ons if after in known)
    good = good and all(producer in known for producer, consumer in promises if consumer in known)
    good = good and can_all_run(known, children, follow_ons, promises)
    try:
        flat, _ = flatten_root(made[0], "0", POLICY)
    except GraphError:
        assert not good
    else:
        assert good
        assert len(flat.jobs) == len(known)
