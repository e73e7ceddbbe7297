"""Each fault of the simulated world happens, and matters: without what the engine does about it, that very fault brings something down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from tests.testing.sim import test_invariants as broken
from tests.testing.sim import test_sensitivity as wrong
from toil_core.batch_system import Reason, State
from toil_core.errors import StoreError, Transient
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints, epoch, retries, run
from toil_core.leader.graph import Graph
from toil_core.leader.loop import Loop
from toil_core.leader.moves import Committed
from toil_core.leader.retries import Policy
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import FAULTS, Conditions, swarm
from toil_core.testing.sim.program import Plan, Program
from toil_core.testing.sim.programs import random_program
from toil_core.testing.sim.store import OBJECT_STORE, StoreKind
from toil_core.testing.sim.world import World
from toil_core.wire import commits, keys
from toil_core.wire.run import decode_leader


def what_is_not_answered_is_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    create_once = commits.create_once

    def create(store: JobStore, key: str, data: bytes) -> bool:
        try:
            return create_once(store, key, data)
        except (StoreError, Transient):
            return True

    patch.setattr(commits, "create_once", create)


def own_blobs_are_taken_for_others(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "_is_there", lambda store, key, data: False)


def any_bytes_are_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(commits, "check", lambda data, where: data)
    patch.setattr(commits, "sound", lambda commit, payload, key: payload)
    patch.setattr(commits, "whole", commits.decode)


def a_stop_is_an_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run, "_judge", lambda *given: None)


def the_newest_leader_is_told_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    def newest(store: JobStore) -> int:
        began = {}
        for blob in store.list(keys.LEADERS):
            with store.read(blob.key) as stream:
                info = decode_leader(stream.read(), blob.key)
            began[info.started] = info.epoch
        return began[max(began)] if began else 0

    patch.setattr(epoch, "last_epoch", newest)
    patch.setattr(epoch, "_last_set_up", lambda store: 0)


def never_again(reason: Reason, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        run, "_policy", lambda options, batch: Policy(tries=1000, backoff=1.0, backoff_factor=1.0, losses=1000, by_reason={reason: 1})
    )


def uses_up_tries(reason: Reason, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retries, "FREE", retries.FREE - {reason})


def no_files_are_swept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Loop, "_sweep", lambda loop, id, request: None)


def commits_are_taken_in_in_any_order(patch: pytest.MonkeyPatch) -> None:
    committed = Graph._committed

    def taking(graph: Graph, event: Committed) -> None:
        if request := graph.requests.get(event.commit.request):
            request.next = event.commit.number
        committed(graph, event)

    patch.setattr(Graph, "_committed", taking)


def news_of_what_is_over_count(patch: pytest.MonkeyPatch) -> None:
    taken = Loop._update
    patch.setattr(Loop, "_update", lambda loop, update: (loop._started if update.state is State.RUNNING else partial(taken, loop))(update))


def commits_are_never_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Loop, "_read_commit", lambda loop, id, number, sure=True: False)


def the_first_bytes_are_taken_for_all(patch: pytest.MonkeyPatch) -> None:
    def carried(loop: Loop, id: str, number: int, data: bytes) -> None:
        key = keys.commit(id, number)
        commit, start = commits.decode(data, key)
        loop._commit(commit, key, start, data[start:])

    patch.setattr(Loop, "_carried", carried)


def the_checkpoint_that_is_listed_last_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        checkpoints, "existing", lambda store: [blob.key for blob in store.list(keys.CHECKPOINTS) if not checkpoints._is_tombstone(blob)]
    )


@dataclass(frozen=True)
class Bite:
    """What shows that a fault matters.

    Args:
        patch: Takes away what the engine does about it.
        words: A part of what is then told.
        seed: With which seed.
        beside: What else goes wrong in that world, and how likely it is.
        rate: How likely the fault is.
    """

    patch: broken.Patch
    words: str
    seed: int
    beside: Mapping[str, float] = field(default_factory=dict)
    rate: float = 0.1

    def world(self, kind: str, seed: int, faults: list[Fault] | None = None) -> World:
        """A world with that fault, or with these."""
        conditions = replace(swarm(seed), mix={**self.beside, kind: self.rate}, trouble=600.0, patience=1800.0)
        return World(random_program(seed), seed, conditions, faults)

    def bites(self, kind: str, seed: int) -> str:
        """What is told with that fault, and not without it; empty when it is nothing, or not this."""
        report = self.world(kind, seed).run()
        if self.words not in report.broken:
            return ""
        return "" if self.world(kind, seed, [fault for fault in report.faults if fault.kind != kind]).run().broken else report.broken


SWARM = 300
"""With so many seeds of the swarm each kind of fault happens."""
CROWDED = 4
"""The seed of a run with a crowded store."""
DEATHS = {"crash waiting": 0.05}
EARLY, LOST, AGAIN = "starts before the commits of", "and does not count for the next leader", "although its commit in"
BITES = {
    "error before": Bite(what_is_not_answered_is_taken_for_done, EARLY, 5, DEATHS),
    "error after": Bite(own_blobs_are_taken_for_others, "which is gone", 4),
    "slow": Bite(wrong.no_tombstones, "after one of epoch", 40, {"rival": 0.05}),
    "twice": Bite(own_blobs_are_taken_for_others, "is gone", 5),
    "twice late": Bite(the_checkpoint_that_is_listed_last_is_taken, LOST, 6, DEATHS),
    "lost part": Bite(what_is_not_answered_is_taken_for_done, EARLY, 4, DEATHS),
    "store full": Bite(what_is_not_answered_is_taken_for_done, "NoSuchKey", 2),
    "truncated": Bite(any_bytes_are_believed, "truncated", 4),
    "flipped": Bite(any_bytes_are_believed, "malformed", 3),
    "crash before": Bite(broken.a_new_leader_reads_no_commits, LOST, 1),
    "crash after": Bite(broken.a_new_leader_reads_no_commits, LOST, 1),
    "freeze before": Bite(wrong.no_tombstones, "after one of epoch", 0),
    "freeze after": Bite(wrong.no_tombstones, "after one of epoch", 1),
    "crash waiting": Bite(broken.a_new_leader_reads_no_commits, LOST, 0),
    "freeze waiting": Bite(wrong.no_tombstones, "after one of epoch", 0),
    "rival": Bite(wrong.no_tombstones, "after one of epoch", 0),
    "stop asked": Bite(a_stop_is_an_end, "at the end there are", 0),
    "clock ahead": Bite(the_newest_leader_is_told_by_the_clock, "not done", 6, DEATHS),
    "clock behind": Bite(the_newest_leader_is_told_by_the_clock, "not done", 18, DEATHS),
    "error": Bite(partial(never_again, Reason.FAILED), "failed for good", 1),
    "killed": Bite(partial(never_again, Reason.KILLED), "failed for good", 1),
    "out of memory": Bite(partial(never_again, Reason.OUT_OF_MEMORY), "failed for good", 1),
    "out of disk": Bite(partial(never_again, Reason.OUT_OF_DISK), "failed for good", 1),
    "killed before commit": Bite(no_files_are_swept, "and was kept", 3),
    "killed after commit": Bite(wrong.a_leader_does_not_believe_commits_that_are_there, AGAIN, 1),
    "service ends": Bite(partial(never_again, Reason.FAILED), "the service ended", 11),
    "worker killed": Bite(partial(uses_up_tries, Reason.NODE_LOST), "that were its own fault", 7),
    "node lost": Bite(partial(uses_up_tries, Reason.NODE_LOST), "that were its own fault", 7),
    "partitioned": Bite(wrong.workers_commits_replace_voids, "over another blob", 11),
    "cut off": Bite(partial(uses_up_tries, Reason.NODE_LOST), "that were its own fault", 11),
    "preempted": Bite(partial(uses_up_tries, Reason.PREEMPTED), "that were its own fault", 11),
    "never heard of": Bite(partial(uses_up_tries, Reason.NODE_LOST), "that were its own fault", 1),
    "delayed": Bite(commits_are_taken_in_in_any_order, AGAIN, 47),
    "told twice": Bite(news_of_what_is_over_count, "KeyError", 6),
    "lost": Bite(wrong.nobody_looks_for_services, "not done", 7),
    "not carried": Bite(commits_are_never_read, AGAIN, 1),
    "prefix only": Bite(the_first_bytes_are_taken_for_all, "truncated", 4),
    "altered": Bite(any_bytes_are_believed, "which is gone", 6),
    "count unknown": Bite(wrong.a_leader_does_not_believe_commits_that_are_there, AGAIN, 1),
    "delivered twice": Bite(wrong.both_executions_write_the_same_files, "is gone", 20),
}
"""Of each kind of fault, what it brings down as soon as the engine lacks its answer."""


@pytest.mark.parametrize("kind", BITES)
def test_a_fault_bites(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bite = BITES[kind]
    sound = bite.world(kind, bite.seed).run()
    assert sound.broken == "", "what the engine does about it is enough"
    bite.patch(monkeypatch)
    assert bite.bites(kind, bite.seed), broken.SEARCH


def test_every_fault_is_among_them() -> None:
    assert set(BITES) == set(FAULTS)


def test_every_fault_happens_in_the_swarm() -> None:
    missing = set(FAULTS)
    for seed in range(SWARM):
        missing -= {fault.kind for fault in World(random_program(seed), seed, swarm(seed)).run().faults}
        if not missing:
            return
    assert not missing


def test_a_crowded_store_bites(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many requests are told by token buckets for each prefix, and not drawn."""

    def broken_with(store: StoreKind) -> str:
        return World(random_program(CROWDED), CROWDED, replace(swarm(CROWDED), mix=DEATHS, store=store)).run().broken

    crowded = StoreKind(3.5, 5.5)
    assert not broken_with(crowded)
    what_is_not_answered_is_taken_for_done(monkeypatch)
    assert broken_with(crowded) and not broken_with(StoreKind())


def test_nine_thousand_jobs_end_at_once_on_a_store_that_is_as_quick_as_a_large_one() -> None:
    """More commits than the bucket of their prefix holds, while two leaders die."""
    parts = [Plan(f"part{number}") for number in range(9000)]
    program = Program(Plan("root", adds_children=parts, adds_follow_ons=[Plan("sum", needs=parts[:3])]))
    wide = Conditions({"crash waiting": 0.001}, most=2, nodes=10, cores=900, backlog=9000, store=OBJECT_STORE, fold_after=20_000, thorough=0.0)
    report = World(program, 2, wide).run()
    assert not report.broken
    assert [fault.kind for fault in report.faults] == ["crash waiting"] * 2
    assert sum(line.endswith("too many requests") for line in report.trace) > 100
