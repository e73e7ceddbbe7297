"""Reading what ended: of leaders at work, dead and replaced, each attempt once."""

from __future__ import annotations

import random
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

from tests.leader.test_checkpoints import Stored
from tests.leader.world import Plan
from tests.monitor import stores
from toil_core.batch_system import Reason
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import CorruptBlob, LeaderReplaced, NoSuchJobStore
from toil_core.leader.checkpoints import Checkpoints, bury
from toil_core.monitor import history, status
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.jobs import Failure

OUTCOMES = {"0.0": "done", "1-1.0.0": "done", "1-1.0.1": "over time", "1-1.0.2": "over time"}


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_folded_and_what_is_not_yet_are_both_told(tmp_path: Path, folded: bool) -> None:
    store = stores.begun(tmp_path / "store")
    assert list(history.read(store)) == []
    stores.led(store)
    stores.committed(store)
    if folded:
        stores.folded(store, ended=True)
    attempts = list(history.read(store))
    assert {attempt.job: attempt.outcome for attempt in attempts} == OUTCOMES and len(attempts) == len(OUTCOMES)
    leaf = next(attempt for attempt in attempts if attempt.job == "1-1.0.0")
    assert (leaf.name, leaf.request, leaf.wall, leaf.cpu, leaf.memory, leaf.child_of) == ("leaf", "1-2", 1.0, 0.5, 9 << 20, ("0.0",))
    assert next(attempt.log for attempt in attempts if attempt.job == "1-1.0.2") == keys.log("1-1.0.2", "1-4")


def test_a_store_without_a_workflow_has_no_history(tmp_path: Path) -> None:
    store = stores.opened(tmp_path / "store")
    store.prepare()
    with pytest.raises(NoSuchJobStore, match="somewhere"):
        list(history.read(store, "somewhere"))
    store.create(keys.commit(keys.ROOT, 0), b"half made")
    assert list(history.read(store)) == []


def test_damaged_history_is_said_and_not_skipped(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "store")
    stores.led(store)
    stores.committed(store)
    stores.folded(store, ended=True)
    (blob,) = store.list(keys.HISTORY)
    store.delete([blob.key])
    store.create(blob.key, b"x" * blob.size)
    with pytest.raises(CorruptBlob, match=blob.key):
        list(history.read(store))
    damaged: list[str] = []
    assert list(history.read(store, damaged=damaged)) == []
    (said,) = damaged
    assert blob.key in said


def test_history_that_is_empty_is_damaged(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "store")
    stores.led(store)
    stores.committed(store)
    stores.folded(store, ended=True)
    (blob,) = store.list(keys.HISTORY)
    store.write(blob.key, BytesIO())
    with pytest.raises(CorruptBlob, match=blob.key):
        list(history.read(store))


def test_a_leader_that_was_replaced_adds_nothing_to_history(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "store")
    stores.led(store)
    stores.committed(store)
    graph = status.load(store, {})[0]
    bury(store, 2)
    with pytest.raises(LeaderReplaced):
        Checkpoints(store, 1).write(graph)
    assert [blob.key for blob in store.list(keys.HISTORY)], "it was quick enough to write its history"
    assert Counter(attempt.job for attempt in history.read(store)) == Counter(dict.fromkeys(OUTCOMES, 1))


@pytest.mark.parametrize("seed", range(20))
def test_every_attempt_is_told_once_however_often_leaders_die(seed: int) -> None:
    chance = random.Random(seed)
    leaves = [Plan(adds_children=[Plan() for _ in range(chance.randrange(3))], follow_ons=[Plan()]) for _ in range(6)]
    store = MemoryJobStore(f"history-{seed}", Config())
    store.prepare()
    world = Stored(store, Plan("root", adds_children=leaves))
    expected: Counter[tuple[str, str, str]] = Counter()
    while world.finish is None:
        request = chance.choice(sorted(world.open))
        (task,) = world.open[request]
        failure = Failure(Reason.PREEMPTED, "gone") if chance.random() < 0.2 else None
        world.commit(request, fails=lambda plan, failure=failure: failure)
        expected[task.job, request, failure.reason.value if failure else "done"] += 1
        turn = chance.random()
        if turn < 0.15:
            world.write()
        elif turn < 0.25:
            world.restart()
        elif turn < 0.3:  # it dies between its history and its checkpoint
            world.store.create(keys.history(world.epoch, world.checkpoints._number), world.graph.past.blob())
            world.restart()
        told = Counter((each.job, each.request, each.outcome) for each in history.of(store, *status.load(store, {})))
        assert told == expected
