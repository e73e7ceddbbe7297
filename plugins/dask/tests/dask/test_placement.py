from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from toil_core.batch_system import Accelerator, Request, Requirement
from toil_core.room import NOTHING
from toil_core.waiting_line import PATIENCE

from toil_dask.placement import Placement
from toil_dask.refusal import refusal
from toil_dask.worker import UNIT, needs

CORES = st.sampled_from([0.1, 0.5, 1, 2, 3])
GPU, FPGA = Accelerator(2, "gpu", brand="nvidia", api="cuda"), Accelerator(1, "fpga")


def ids() -> Iterator[str]:
    return (f"1-{number}" for number in count(1))


def request(id: str, cores: float = 1, memory: int = 0, *, lasting: bool = False, **needed: object) -> Request:
    return Request(id, "job", Requirement(cores, memory, **needed), b"", lasting=lasting)  # type: ignore[arg-type]


def started(placement: Placement) -> dict[str, str]:
    return {request.id: node for request, node in placement.start()}


class Machine(RuleBasedStateMachine):
    """Nodes and requests come and go; what holds whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.placement = Placement()
        self.ids = ids()
        self.nodes: dict[str, Requirement] = {}
        self.closed: set[str] = set()
        self.others: dict[str, Requirement] = {}
        self.waiting: dict[str, Requirement] = {}
        self.placed: dict[str, tuple[str, Requirement]] = {}

    @rule(cores=CORES, memory=st.integers(1, 4), preemptible=st.booleans(), accelerated=st.booleans())
    def join(self, cores: float, memory: int, preemptible: bool, accelerated: bool) -> None:
        name = f"node{next(self.ids)}"
        self.nodes[name] = Requirement(cores, memory, 10, preemptible, (GPU,) if accelerated else ())
        self.placement.join(name, self.nodes[name])

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.nodes:
            name = data.draw(st.sampled_from(sorted(self.nodes)))
            del self.nodes[name]
            self.closed.discard(name)
            self.others.pop(name, None)
            gone = {id for id, (node, _) in self.placed.items() if node == name}
            assert set(self.placement.leave(name)) == gone
            for id in gone:
                del self.placed[id]

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        if self.nodes:
            name = data.draw(st.sampled_from(sorted(self.nodes)))
            self.closed.add(name)
            self.placement.close(name)

    @rule(data=st.data(), cores=st.sampled_from([0, 0.5, 1, 3]), memory=st.integers(0, 3))
    def occupy(self, data: st.DataObject, cores: float, memory: int) -> None:
        if self.nodes:
            name = data.draw(st.sampled_from(sorted(self.nodes)))
            self.others[name] = Requirement(cores, memory)
            self.placement.occupy(name, self.others[name])

    @rule(cores=CORES, memory=st.integers(0, 4), preemptible=st.booleans(), gpus=st.integers(0, 2), lasting=st.booleans())
    def add(self, cores: float, memory: int, preemptible: bool, gpus: int, lasting: bool) -> None:
        wanted = (Accelerator(gpus),) if gpus else ()
        new = request(next(self.ids), cores, memory, preemptible=preemptible, accelerators=wanted, lasting=lasting)
        self.waiting[new.id] = new.requirement
        self.placement.add(new)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        known = sorted({*self.waiting, *self.placed})
        if known:
            id = data.draw(st.sampled_from(known))
            assert self.placement.remove(id) == (id in self.waiting)
            self.waiting.pop(id, None)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.placed:
            id = data.draw(st.sampled_from(sorted(self.placed)))
            self.placement.end(id)
            self.placement.end(id)
            del self.placed[id]

    @rule()
    def start(self) -> None:
        for new, node in self.placement.start():
            needed = self.waiting.pop(new.id)
            assert node in self.nodes and node not in self.closed
            assert needed.preemptible or not self.nodes[node].preemptible
            self.placed[new.id] = (node, needed)
        for needed in self.waiting.values():
            assert not any(self.fits(node, needed) for node in self.nodes), "room was left"

    def fits(self, node: str, needed: Requirement) -> bool:
        return (
            node not in self.closed
            and needed.cores <= self.free(node, "cores") - self.others.get(node, NOTHING).cores + 1e-6
            and needed.memory <= self.free(node, "memory") - self.others.get(node, NOTHING).memory
            and (needed.preemptible or not self.nodes[node].preemptible)
            and gpus(needed) <= gpus(self.nodes[node]) - sum(gpus(held) for at, held in self.placed.values() if at == node)
        )

    def free(self, node: str, what: str) -> float:
        held = sum(getattr(needed, what) for at, needed in self.placed.values() if at == node)
        return float(getattr(self.nodes[node], what) - held)

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        for node in self.nodes:
            assert self.free(node, "cores") > -1e-6 and self.free(node, "memory") >= 0
        assert dict(self.placement.loads()) == {node: sum(at == node for at, _ in self.placed.values()) for node in self.nodes}
        assert {new.id for new in self.placement.waiting()} == set(self.waiting)


def gpus(needed: Requirement) -> int:
    return sum(one.count for one in needed.accelerators)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_cannot_be_taken_away_is_spared() -> None:
    placement = Placement()
    placement.join("safe", Requirement(4))
    placement.join("spot", Requirement(4, preemptible=True))
    placement.add(request("1-1", preemptible=True))
    placement.add(request("1-2"))
    assert started(placement) == {"1-1": "spot", "1-2": "safe"}


def test_nodes_with_accelerators_are_spared_and_full_nodes_are_filled_up() -> None:
    placement = Placement()
    placement.join("gpu", Requirement(4, accelerators=(GPU,)))
    placement.join("large", Requirement(8))
    placement.join("small", Requirement(2))
    for id in ("1-1", "1-2", "1-3"):
        placement.add(request(id))
    assert started(placement) == {"1-1": "small", "1-2": "small", "1-3": "large"}
    placement.add(request("1-4", accelerators=(Accelerator(1, brand="NVIDIA"),)))
    assert started(placement) == {"1-4": "gpu"}


def test_a_large_request_is_not_passed_by_for_ever() -> None:
    placement, names = Placement(), ids()
    placement.join("one", Requirement(2))
    placement.join("two", Requirement(2))
    small = [request(next(names)) for _ in range(4)]
    for each in small:
        placement.add(each)
    running = list(started(placement))
    placement.add(large := request("large", 2))
    for turn in range(4 * PATIENCE):
        placement.end(running.pop(0))
        placement.add(request(next(names)))
        new = started(placement)
        if large.id in new:
            return
        running += new
        assert running, turn
    raise AssertionError("it never started")


@settings(deadline=None, max_examples=200)
@given(
    nodes=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    wanted=st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=6),
)
def test_whatever_can_have_a_turn_gets_it_and_whoever_else_waits_keeps_nobody(nodes: list[int], wanted: list[tuple[int, bool]]) -> None:
    """Small requests come for ever, each as one ends; what lasts does not end before them."""
    patience = 3
    placement, names = Placement(patience), ids()
    for number, cores in enumerate(nodes):
        placement.join(f"node{number}", Requirement(cores))
    every = {(new := request(next(names), cores, lasting=lasting)).id: new for cores, lasting in wanted}
    for new in every.values():
        placement.add(new)
    running: list[str] = []
    lasts = dict.fromkeys(placement.loads(), 0.0)
    for _ in range(2 * (patience + sum(nodes)) * (len(wanted) + 1)):
        placement.add(small := request(next(names)))
        every[small.id] = small
        for id, node in started(placement).items():
            if every[id].lasting:
                lasts[node] += every[id].requirement.cores
            else:
                running.append(id)
        if not running:
            assert all(lasts[f"node{number}"] == cores for number, cores in enumerate(nodes)), "there is room beside what lasts"
            break
        placement.end(running.pop(0))
    room = max(cores - lasts[f"node{number}"] for number, cores in enumerate(nodes))
    for waiting in placement.waiting():
        assert waiting.requirement.cores > room or waiting.id not in list(every)[: len(wanted)], "one that can have a turn waits for ever"


def test_a_large_request_waits_for_no_service_and_nobody_waits_for_it() -> None:
    placement, names = Placement(), ids()
    placement.join("one", Requirement(2))
    placement.add(request("service", 1, lasting=True))
    assert started(placement) == {"service": "one"}
    placement.add(request("large", 2))
    for _ in range(2 * PATIENCE):
        placement.add(user := request(next(names)))
        assert started(placement) == {user.id: "one"}
        placement.end(user.id)
    placement.end("service")
    assert started(placement) == {"large": "one"}


def test_a_large_request_has_its_turn_though_an_older_one_fits_no_node() -> None:
    placement, names = Placement(), ids()
    placement.join("one", Requirement(2))
    running = [request(next(names)), request(next(names))]
    for each in running:
        placement.add(each)
    placement.start()
    placement.add(request("huge", 9))
    placement.add(request("large", 2))
    for _ in range(PATIENCE + 2):
        placement.end(running.pop(0).id)
        running.append(request(next(names)))
        placement.add(running[-1])
        if "large" in started(placement):
            return
    raise AssertionError("it never started")


def test_what_other_leaders_hold_is_not_free() -> None:
    placement = Placement()
    placement.join("one", Requirement(4))
    placement.occupy("one", Requirement(3))
    placement.add(request("large", 2))
    placement.add(request("small", 1))
    assert started(placement) == {"small": "one"}
    placement.occupy("one", Requirement(2))
    assert started(placement) == {}
    placement.end("small")
    assert started(placement) == {"large": "one"}
    placement.occupy("gone", Requirement(1))


def test_other_leaders_do_not_pass_a_large_request_by_for_ever() -> None:
    """In the end it is sent where Dask lets it wait for its turn."""
    placement = Placement()
    placement.join("one", Requirement(4))
    placement.occupy("one", Requirement(3))
    placement.add(request("large", 2))
    placement.add(request("huge", 4))
    turns = 0
    while not (new := started(placement)):
        placement.occupy("one", Requirement(3 + turns % 2))
        turns += 1
        assert turns <= 2 * PATIENCE
    assert new == {"large": "one"} and turns >= PATIENCE
    placement.occupy("one", NOTHING)
    placement.add(request("small", 2))
    assert started(placement) == {"small": "one"}


def test_nothing_starts_on_a_closed_node() -> None:
    placement = Placement()
    placement.join("one", Requirement(4))
    placement.add(request("1-1"))
    assert started(placement) == {"1-1": "one"}
    placement.close("one")
    placement.add(request("1-2"))
    assert started(placement) == {}
    assert placement.where("1-1") == "one" and placement.where("1-2") is None
    placement.join("two", Requirement(4))
    assert started(placement) == {"1-2": "two"}


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (Requirement(5), "asks for 5 cores; the largest node has 4"),
        (Requirement(1, 2 << 30), "asks for 2 GiB of memory; the largest node has 1 GiB"),
        (Requirement(1, disk=9 << 30), "disk"),
        (Requirement(1, accelerators=(Accelerator(1, "gpu", "h100"),)), "accelerators (1 h100 gpu)"),
        (Requirement(1, accelerators=(Accelerator(3),)), "accelerators (3 gpu)"),
        (Requirement(4, accelerators=(GPU,)), "no one node"),
        (Requirement(1), "may not be preempted"),
    ],
)
def test_a_refusal_names_the_dimension(needed: Requirement, words: str) -> None:
    offers = [Requirement(4, 1 << 30, 1 << 30, preemptible=True), Requirement(2, 1 << 30, 1 << 30, preemptible=True, accelerators=(GPU, FPGA))]
    from dataclasses import replace

    assert words in refusal(needed if words.startswith("may") else replace(needed, preemptible=True), offers)
    assert not refusal(Requirement(2, preemptible=True, accelerators=(FPGA, Accelerator(2))), offers)


def test_what_fits_no_present_node_is_known() -> None:
    placement = Placement()
    placement.add(request("1-1", 3))
    placement.add(request("1-2", 1))
    placement.start()
    assert placement.misfits() == {}, "there is no node yet, and any may come"
    placement.join("small", Requirement(2, 4))
    placement.start()
    assert placement.misfits() == {"1-1": "asks for 3 cores; the largest node has 2"}
    placement.join("large", Requirement(4, 4))
    assert placement.misfits() == {}
    placement.leave("large")
    assert placement.misfits().keys() == {"1-1"}
    placement.remove("1-1")
    assert placement.misfits() == {}


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 8), max_size=50))
def test_what_dask_counts_stays_exact(cores: list[float]) -> None:
    left = 64.0
    amounts = [needs(Requirement(each), ["cores", "memory"])["cores"] for each in cores]
    for amount, asked in zip(amounts, cores, strict=True):
        assert 0 < amount <= max(asked, UNIT)
        left -= amount
    for amount in amounts:
        left += amount
    assert left == 64.0
