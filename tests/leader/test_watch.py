"""What a leader tells and hears through the job store, and how seldom."""

from __future__ import annotations

import itertools
import time
from itertools import pairwise
from typing import BinaryIO

import pytest

from tests.leader.world import Plan, World
from toil_core.batch_system import Reason
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import LeaderReplaced, Transient
from toil_core.job_store import JobStore
from toil_core.leader import page
from toil_core.leader.page import Page
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.jobs import Failure

_names = (f"watch-{number}" for number in itertools.count())


class Counting(MemoryJobStore):
    """A store that counts what is asked of it, and fails on demand."""

    def __init__(self) -> None:
        super().__init__(next(_names), Config())
        self.prepare()
        self.asked: list[str] = []
        self.away = False

    def write(self, key: str, stream: BinaryIO) -> None:
        self._count(f"write {key}")
        super().write(key, stream)

    def stat(self, key: str):  # type: ignore[no-untyped-def]
        self._count(f"stat {key}")
        return super().stat(key)

    def _count(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise Transient("away")


@pytest.fixture
def store() -> Counting:
    return Counting()


def told(store: MemoryJobStore, epoch: int = 1) -> Page:
    with store.read(keys.page(epoch)) as stream:
        return page.decode(stream.read())


def test_the_page_is_written_when_something_changed_and_not_too_often(store: Counting) -> None:
    world, watch = World(Plan("root", adds_children=[Plan("leaf") for _ in range(3)])), Watch(store, 1, WatchOptions(status_interval=5.0, kill_check_interval=0.0))
    assert watch.at is None, "nothing is done while nothing happens"
    watch.changed()
    assert watch.at is not None and watch.at <= time.time()
    watch.turn(world.graph, 1000.0)
    assert store.asked == [f"write {keys.page(1)}"] and watch.at is None
    watch.changed()
    watch.changed()
    assert watch.at == 1005.0
    watch.turn(world.graph, 1004.0)
    assert len(store.asked) == 1
    watch.turn(world.graph, 1006.0)
    assert len(store.asked) == 2 and watch.at is None and told(store).written == 1006.0


def test_what_the_page_says(store: Counting) -> None:
    world = World(Plan("root", adds_children=[Plan("leaf") for _ in range(3)]))
    (request,) = world.open
    world.commit(request)
    first, second, third = list(world.open)
    world.graph.requests[first].node, world.graph.requests[first].started = "node-1", 77.0
    world.commit(second, fails=lambda plan: Failure(Reason.FAILED, "bad luck"))
    world.commit(third, fails=lambda plan: Failure(Reason.FAILED, "no hope", retry=False))
    watch = Watch(store, 1, WatchOptions(), slots=4.0)
    watch.write(world.graph, 1000.0)
    said = told(store)
    assert [(kind.name, kind.total, kind.done, kind.running, kind.failed) for kind in said.kinds] == [("root", 1, 1, 0, 0), ("leaf", 3, 0, 1, 1)]
    assert [(each.id, each.node, each.started, each.jobs) for each in said.requests] == [(first, "node-1", 77.0, 1)]
    assert (said.delays, said.failed, said.failing, said.slots) == (1, 1, 1, 4.0)
    assert [(name, final, why.message) for _, name, final, why in said.failures] == [("leaf", True, "no hope"), ("leaf", False, "bad luck")]
    assert said.delayed[0][1:] == ("leaf", world.wake)


def test_a_page_tells_what_waits_for_a_larger_machine(store: Counting) -> None:
    world = World(Plan("root", adds_children=[Plan("leaf") for _ in range(2)]))
    world.commit(next(iter(world.open)))
    first, second = list(world.open)
    Watch(store, 1, WatchOptions(), misfits=lambda: {second: "asks for much", "9-9": "unknown"}).write(world.graph, 1000.0)
    assert {each.id: each.misfit for each in told(store).requests} == {first: "", second: "asks for much"}


def test_a_page_names_few_of_many(store: Counting) -> None:
    world = World(Plan("root", adds_children=[Plan("leaf") for _ in range(page.SHOWN + 50)]))
    world.commit(next(iter(world.open)))
    while world.open:
        world.commit(next(iter(world.open)), fails=lambda plan: Failure(Reason.FAILED, "no", retry=False))
    said = page.of(world.graph, 0.0)
    assert said.failed == page.SHOWN + 50 and len(said.failures) == page.SHOWN


def test_a_request_to_end_is_heard_once(store: Counting) -> None:
    world, watch = World(Plan("root")), Watch(store, 1, WatchOptions(kill_check_interval=30.0))
    assert watch.at is not None
    due = watch.at
    assert not watch.turn(world.graph, due - 1) and store.asked == []
    assert not watch.turn(world.graph, due) and watch.at == due + 30.0
    assert store.asked == [f"stat {keys.leader(2)}", f"stat {keys.kill(1)}"]
    store.create(keys.kill(2), b"")
    assert not watch.turn(world.graph, due + 30.0)
    store.create(keys.kill(1), b"")
    assert watch.turn(world.graph, due + 60.0) and watch.killed
    assert not watch.turn(world.graph, due + 90.0), "it is ending already"


def test_a_leader_that_was_replaced_finds_out(store: Counting) -> None:
    world, watch = World(Plan("root")), Watch(store, 1, WatchOptions())
    store.create(keys.leader(2), b"{}")
    with pytest.raises(LeaderReplaced):
        watch.turn(world.graph, time.time() + 31)


def test_a_store_that_is_away_disturbs_nobody(store: Counting) -> None:
    world, watch = World(Plan("root")), Watch(store, 1, WatchOptions(status_interval=5.0), lease=True)
    store.away = True
    watch.changed()
    now = time.time() + 31
    assert not watch.turn(world.graph, now)
    store.away = False
    assert watch.at == now + 5.0, "the page is tried again"
    watch.turn(world.graph, now + 5.0)
    assert told(store).written == now + 5.0


def test_where_workers_need_it_the_leader_shows_that_it_lives(store: Counting) -> None:
    world, watch = World(Plan("root")), Watch(store, 1, WatchOptions(kill_check_interval=0.0, leader_lease=400.0), lease=True)
    seen = []
    for now in (1000.0, 1099.0, 1100.0):
        watch.turn(world.graph, now)
        with store.read(keys.lease(1)) as stream:
            seen.append(stream.read())
    assert seen[0] == seen[1] != seen[2] and watch.at == 1200.0
    assert Watch(store, 1, WatchOptions(kill_check_interval=0.0)).at is None


def test_an_idle_leader_asks_a_store_that_costs_money_less_and_less() -> None:
    class Costly(MemoryJobStore):
        def pace(self) -> float:
            return 1.0

    def looks(store: JobStore) -> list[float]:
        world, watch = World(Plan("root")), Watch(store, 1, WatchOptions(kill_check_interval=30.0), now=lambda: 0.0)
        times = []
        for _ in range(8):
            assert watch.at is not None
            times.append(watch.at)
            watch.turn(world.graph, watch.at)
        watch.changed()
        watch._page_at = None
        first = watch.at
        assert first is not None
        watch.turn(world.graph, first)
        assert watch.at is not None
        return [later - earlier for earlier, later in pairwise([0.0, *times, first, watch.at])]

    with Costly("costly", Config()) as costly, MemoryJobStore("free", Config()) as free:
        assert looks(costly) == [30, 30, 60, 120, 240, 480, 600, 600, 600, 30]
        assert looks(free) == [30.0] * 10
