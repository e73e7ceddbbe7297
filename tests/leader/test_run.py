"""A leader's whole life, with a batch system that plays what a test says."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest

from tests.leader.machine import Behaviour, Player, carried, failing
from tests.leader.world import INITIAL, Plan
from toil_core import plugins
from toil_core.batch_system import Reason, State, Update
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import Interrupted, JobStoreExists, LeaderReplaced, LeaderRunning, NoSuchKey, WorkflowFailed
from toil_core.events import Event, JobDone, RunEnded, RunStarted
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints as folding
from toil_core.leader import epoch
from toil_core.leader.options import EngineOptions
from toil_core.leader.run import Outcome, begin, lead
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.jobs import Failure
from toil_core.wire.work import Setup, Work, decode_setup

_names = (f"run-{number}" for number in itertools.count())
CONFIG = Config([EngineOptions(retry_count=0)])


@pytest.fixture
def store() -> Iterator[JobStore]:
    with MemoryJobStore(next(_names), Config()) as opened:
        opened.prepare()
        yield opened


class Run:
    """A workflow in a store, led as often as a test wants."""

    def __init__(
        self, store: JobStore, root: Plan, monkeypatch: pytest.MonkeyPatch, behaviour: dict[str, list[Behaviour]] | None = None
    ) -> None:
        self.store = store
        self.player = Player(store, root, behaviour)
        self.told: list[Event] = []
        monkeypatch.setattr(plugins, "open_batch_system", self.open)
        begin(store, "memory:here", self.player.world.blobs[INITIAL], CONFIG, "plans")

    def open(self, name: str, config: Config) -> Player:
        self.player = self.player.anew()
        return self.player

    def lead(self, *, restart: bool = False) -> Outcome:
        return lead(self.store, "memory:here", Setup(), CONFIG, restart=restart, listeners=[self.told.append])

    def value(self, name: str) -> bytes:
        return next(node.value for node in self.player.world.nodes.values() if node.plan.name == name and node.value)


def two() -> Plan:
    child = Plan("child", size=5000)
    return Plan("root", adds_children=[child], promises=[child])


def test_a_workflow_runs_and_gives_the_root_s_value_and_what_it_promises(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(store, two(), monkeypatch)
    outcome = run.lead()
    assert outcome.value == run.value("root") and list(outcome.values.values()) == [run.value("child")]
    assert isinstance(run.told[0], RunStarted) and (run.told[0].epoch, run.told[0].restarted, run.told[0].total) == (1, False, 1)
    assert run.told[-1] == RunEnded(run.told[-1].time, "succeeded", 2, 0, 2)
    assert folding.ended(store) == 1
    with store.read(keys.setup(1)) as stream:
        assert decode_setup(stream.read()) == Setup(workflow=run.told[0].workflow)


def test_a_store_takes_one_workflow(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(store, two(), monkeypatch)
    with pytest.raises(JobStoreExists, match="memory:here holds a workflow already"):
        begin(store, "memory:here", run.player.world.blobs[INITIAL] + b"another", CONFIG)


def test_nobody_begins_anew_where_the_workflow_s_own_graph_is_long_folded(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a swarm, seed 301."""
    run = Run(store, two(), monkeypatch)
    for restart in (False, True, True, True):
        run.lead(restart=restart)
    with pytest.raises(JobStoreExists):
        begin(store, "memory:here", run.player.world.blobs[INITIAL] + b"another", CONFIG)


def test_who_began_a_workflow_and_slept_goes_on_where_others_are(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a swarm, seed 359."""
    run = Run(store, two(), monkeypatch)
    first = run.lead(restart=True)
    assert run.lead(restart=False) == first
    assert run.player.ran == ["root", "child"]


def test_a_leader_that_misses_what_its_successor_removed_says_that_it_was_replaced(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by a swarm, seed 6."""
    run = Run(store, two(), monkeypatch)
    run.lead()

    def meanwhile(store: JobStore, *arguments: object) -> None:
        store.create(keys.leader(3), b"another")
        raise NoSuchKey(keys.commit("1-1", 0))

    monkeypatch.setattr(folding, "load", meanwhile)
    with pytest.raises(LeaderReplaced):
        run.lead(restart=True)


def test_a_failed_workflow_says_why_and_can_be_restarted(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = failing(Failure(Reason.FAILED, "no such reads", exit_code=7, log="logs/x"))
    run = Run(store, two(), monkeypatch, {"child": [broken]})
    with pytest.raises(WorkflowFailed, match=r"1 job failed for good \(1 of 2 jobs done\)") as error:
        run.lead()
    assert "child 1-1.0.0: failed: no such reads" in str(error.value).replace(error.value.jobs[0], "1-1.0.0")
    assert error.value.exit_code == 7 and "--restart" in str(error.value)
    assert folding.ended(store) == 1
    outcome = run.lead(restart=True)
    assert run.player.ran == ["root", "child", "child"]
    assert list(outcome.values.values()) == [run.value("child")]
    assert folding.ended(store) == 2


def test_a_complete_workflow_gives_its_outcome_again_and_runs_nothing(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(store, two(), monkeypatch)
    first = run.lead()
    for expected in (2, 3):
        assert run.lead(restart=True) == first
        assert folding.ended(store) == expected
    assert run.player.ran == ["root", "child"]
    assert len([event for event in run.told if isinstance(event, JobDone)]) == 2
    assert len([event for event in run.told if isinstance(event, RunStarted)]) == 1


def test_a_workflow_that_cannot_go_on_is_explained(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Plan("first"), Plan("second")
    first.follow_ons, first.needs = [second], [second]
    with pytest.raises(WorkflowFailed, match="wait for values that will never be there") as error:
        Run(store, Plan("root", children=[first]), monkeypatch).lead()
    assert "first 0.1 waits for the value of second 0.2" in str(error.value)
    assert "second 0.2 waits for its predecessors" in str(error.value)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_and_the_store_can_be_restarted(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def interrupted(player: Player, work: Work) -> None:
        player.put(Update(work.request, State.RUNNING))
        os.kill(os.getpid(), number)

    run = Run(store, two(), monkeypatch, {"child": [interrupted]})
    with pytest.raises(Interrupted, match="1 of 2 jobs done") as error:
        run.lead()
    assert error.value.exit_code == 128 + number
    run.lead(restart=True)
    assert run.player.ran == ["root", "child"]


def test_a_second_leader_is_refused(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def tries(player: Player, work: Work) -> None:
        try:
            run.lead(restart=True)
        except LeaderRunning as error:
            refused.append(str(error))
        carried(player, work)

    run = Run(store, two(), monkeypatch, {"root": [tries], "child": [tries]})
    run.lead()
    assert len(refused) == 2 and "a leader works on memory:here already" in refused[0]
    assert epoch.last_epoch(store) == 1


def test_a_leader_that_was_replaced_stops_at_the_latest_at_its_end(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def replaced(player: Player, work: Work) -> None:
        epoch.claim(store, "memory:here", ended=1, take_over=True)
        folding.bury(store, 2)
        carried(player, work)

    run = Run(store, two(), monkeypatch, {"child": [replaced]})
    with pytest.raises(LeaderReplaced):
        run.lead()
    assert not folding.existing(store)
