"""The loop with a batch system that plays what a test says."""

from __future__ import annotations

import io
import itertools
import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.leader.machine import Behaviour, Machine, carried, ended, failing
from tests.leader.world import Plan
from toil_core.batch_system import Reason, State, Update, Usage
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import LeaderReplaced, NoSuchKey, Transient
from toil_core.events import AttemptFailed, Event, JobDone, JobMessage, JobsAdded, JobStarted
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints as folding
from toil_core.leader.retries import Policy
from toil_core.leader.run import _signals
from toil_core.leader.surroundings import Surroundings
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure
from toil_core.wire.work import Work

_names = (f"loop-{number}" for number in itertools.count())


@pytest.fixture
def store() -> Iterator[JobStore]:
    with MemoryJobStore(next(_names), Config()) as opened:
        opened.prepare()
        yield opened


def void_of(store: JobStore, work: Work, number: int = 0) -> Reason | None:
    """Why the leader gave that part of the request up; None when it did not."""
    try:
        return commits.read(store, keys.commit(work.request, number))[0].void
    except NoSuchKey:
        return None


def three() -> Plan:
    return Plan("root", children=[Plan("a")], follow_ons=[Plan("b")])


# Commits


def test_commits_that_updates_carry_are_applied(store: JobStore) -> None:
    machine = Machine(store, three())
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]
    assert machine.works[0].store == "memory:for-workers" and machine.works[0].setup == keys.setup(1)


def test_commits_that_are_only_stored_are_read(store: JobStore) -> None:
    def told_with_the_end(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work))
        machine.put(Update(work.request, State.ENDED, commits=1))

    def told_apart(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work))
        machine.put(Update(work.request, State.COMMITTED), Update(work.request, State.ENDED, commits=1))

    def count_unknown(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work))
        machine.put(Update(work.request, State.ENDED))

    machine = Machine(store, three(), {"root": [told_with_the_end], "a": [told_apart], "b": [count_unknown]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]


def test_each_commit_brings_the_next_checkpoint_nearer_by_its_results(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    machine = Machine(store, Plan("root", children=[Plan("leaf") for _ in range(50)]))
    monkeypatch.setattr(machine.checkpoints, "changed", changed.append)
    assert machine.run().outcome == "succeeded"
    assert changed == [len(work.tasks) for work in machine.works] and sum(changed) == 51


def test_the_header_alone_is_enough(store: JobStore) -> None:
    def prefix_only(machine: Machine, work: Work) -> None:
        data = machine.make(work)
        machine.keep(work, data)
        machine.put(Update(work.request, State.ENDED, commit=data[: commits.header_size(data, "")], commits=1))

    producer = Plan("producer", size=100_000)
    consumer = Plan("consumer", needs=[producer])
    machine = Machine(store, Plan("root", children=[producer, consumer]), {"producer": [prefix_only]})
    assert machine.run().outcome == "succeeded"
    ((_, value),) = machine.works[-1].tasks[0].values
    assert not isinstance(value, bytes) and commits.fetch(store, value) == machine.world.nodes[machine.works[1].tasks[0].job].value


@pytest.mark.parametrize("place", [3, 30, -1], ids=["frame", "header", "payload"])
def test_a_commit_altered_on_its_way_is_read_from_the_store(store: JobStore, place: int, caplog: pytest.LogCaptureFixture) -> None:
    def altered(machine: Machine, work: Work) -> None:
        data = machine.make(work)
        machine.keep(work, data)
        wrong = bytearray(data)
        wrong[place] ^= 1
        machine.put(Update(work.request, State.ENDED, commit=bytes(wrong), commits=1))

    machine = Machine(store, three(), {"a": [altered]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]
    assert "altered on its way" in caplog.text


def test_a_stored_commit_that_cannot_be_read_is_named_and_its_job_runs_again(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    def broken(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work)[:-1])
        machine.put(Update(work.request, State.ENDED, commits=1))

    machine = Machine(store, three(), {"a": [broken]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "a", "b"]
    assert keys.commit("1-2", 0) in caplog.text and keys.commit("1-2", 0) in machine.graph.garbage
    assert void_of(store, machine.works[1], 1) is Reason.NODE_LOST, "what its worker may still commit comes to nothing"


def test_a_request_may_commit_in_parts_of_which_some_are_never_told(store: JobStore) -> None:
    def in_parts(machine: Machine, work: Work) -> None:
        if len(work.tasks) < 3:
            carried(machine, work)
            return
        machine.behaviour.clear()
        first, second = (machine.make(work, number, slice(number, number + 1), final=False) for number in (0, 1))
        last = machine.make(work, 2, slice(2, None))
        for number, data in enumerate((first, second, last)):
            machine.keep(work, data, number)
        machine.put(
            Update(work.request, State.COMMITTED, commit=second, number=1),
            Update(work.request, State.COMMITTED, commit=first, number=0),
            Update(work.request, State.ENDED, commit=last, number=2, commits=3),
        )

    machine = Machine(store, Plan("root", children=[Plan("leaf") for _ in range(500)]), {"leaf": [in_parts] * 500})
    assert machine.run().outcome == "succeeded"
    assert not machine.behaviour, "a batch of three or more went out"
    assert machine.ran.count("leaf") == 500


def test_an_update_that_is_told_twice_or_late_changes_nothing(store: JobStore) -> None:
    def twice(machine: Machine, work: Work) -> None:
        data = machine.make(work)
        machine.keep(work, data)
        update = Update(work.request, State.ENDED, commit=data, commits=1)
        machine.put(update, update, Update(work.request, State.ENDED, Reason.NODE_LOST), Update(work.request, State.RUNNING))

    machine = Machine(store, three(), {"root": [twice], "a": [twice], "b": [twice]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]
    assert len(set(machine.graph.garbage)) == len(machine.graph.garbage)


# Fencing


def test_a_lost_request_is_fenced_before_its_job_goes_out_again(store: JobStore) -> None:
    def again(machine: Machine, work: Work) -> None:
        lost = machine.works[1]
        assert void_of(store, lost) is Reason.NODE_LOST
        assert not machine.keep(lost, machine.make(lost)), "a zombie that commits now loses"
        carried(machine, work)

    machine = Machine(store, three(), {"a": [ended(Reason.NODE_LOST), again]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "a", "b"]
    assert machine.graph.garbage.count(keys.commit(machine.works[1].request, 0)) == 1
    assert len(list(store.list(keys.commit(machine.works[1].request, 0)[:-6]))) == 1, "one void is enough"


def test_a_worker_that_was_faster_than_the_fence_is_believed(store: JobStore) -> None:
    def committed_and_lost(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work))
        machine.put(Update(work.request, State.ENDED, Reason.NODE_LOST))

    machine = Machine(store, three(), {"a": [committed_and_lost]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]


def test_an_execution_that_lost_against_another_of_its_request_takes_nothing_back(store: JobStore) -> None:
    def delivered_twice(machine: Machine, work: Work) -> None:
        data = machine.make(work)
        machine.keep(work, data)
        loser = Update(work.request, State.ENDED, Reason.CANCELLED, message="it ran elsewhere too", commits=0)
        machine.put(loser, Update(work.request, State.RUNNING), Update(work.request, State.ENDED, commit=data, commits=1))

    machine = Machine(store, three(), {"a": [delivered_twice]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"]


@pytest.mark.parametrize("sign", [{"node": "n1"}, {"exit_code": -15}, {"usage": Usage(wall=1.0)}, {"commits": 0}], ids=str)
def test_a_cancelled_request_is_fenced_though_nobody_told_that_it_ran(store: JobStore, sign: dict[str, Any]) -> None:
    """When news that it ran were lost and its commits are not known, its worker may still live."""
    def wrote_and_was_cancelled(machine: Machine, work: Work) -> None:
        store.create(keys.attempt_files(work.request, work.tasks[0].job) + "half", b"x")
        machine.put(Update(work.request, State.ENDED, Reason.CANCELLED, **sign))

    machine = Machine(store, three(), {"a": [wrote_and_was_cancelled]})
    assert machine.run().outcome == "succeeded"
    assert void_of(store, machine.works[1]) is Reason.CANCELLED
    machine.checkpoints.write(machine.graph)
    assert not list(store.list(keys.FILES))


def test_a_request_that_was_cancelled_before_it_ran_costs_no_fence(store: JobStore) -> None:
    machine = Machine(store, three(), {"a": [ended(Reason.CANCELLED, running=False)]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "b"] and void_of(store, machine.works[1]) is None


def test_what_a_cancelled_request_committed_counts_in_a_run_that_stops_though_nobody_told_that_it_ran(store: JobStore) -> None:
    def commits_and_stops(machine: Machine, work: Work) -> None:
        machine.keep(work, machine.make(work))
        machine.loop.stop()

    class Deaf(Machine):
        def cancel(self, ids: Iterable[str]) -> None:
            self.put(*(Update(id, State.ENDED, Reason.CANCELLED, node="n1") for id in ids))

    machine = Deaf(store, three(), {"a": [commits_and_stops]})
    assert machine.run().outcome == "interrupted"
    assert machine.graph.ran == 2


def test_an_end_without_commits_and_without_a_reason_is_a_loss(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(store, three(), {"a": [ended(None, commits=0)]})
    assert machine.run().outcome == "succeeded"
    assert void_of(store, machine.works[1]) is Reason.NODE_LOST
    assert machine.ran == ["root", "a", "b"] and len(machine.works) == 4
    assert not caplog.records, "no commit was made, and none is missed"


def test_files_of_a_lost_attempt_are_swept(store: JobStore) -> None:
    def wrote_and_was_lost(machine: Machine, work: Work) -> None:
        store.create(keys.attempt_files(work.request, work.tasks[0].job) + "half", b"x")
        ended(Reason.NODE_LOST)(machine, work)

    machine = Machine(store, three(), {"a": [wrote_and_was_lost]})
    machine.run()
    machine.checkpoints.write(machine.graph)
    assert not list(store.list(keys.FILES))


def lost_half_way(store: JobStore, files: list[str], most: int | None = None) -> Behaviour:
    """The first request with several jobs writes a file for each of the first ones, commits all of these but the last, and is lost."""

    def behave(machine: Machine, work: Work) -> None:
        if len(work.tasks) < 2:
            carried(machine, work)
            return
        machine.behaviour.clear()
        files.extend(keys.attempt_files(work.request, task.job) + "made" for task in work.tasks[:most])
        for file in files:
            store.create(file, b"x")
        first = machine.make(work, 0, slice(0, len(files) - 1), final=False)
        machine.keep(work, first)
        machine.put(Update(work.request, State.COMMITTED, commit=first, number=0), Update(work.request, State.ENDED, Reason.NODE_LOST))

    return behave


def test_files_of_what_a_lost_batch_had_committed_stay(store: JobStore) -> None:
    files: list[str] = []
    machine = Machine(store, Plan("root", children=[Plan("leaf") for _ in range(500)]), {"leaf": [lost_half_way(store, files, 2)] * 500})
    assert machine.run().outcome == "succeeded"
    machine.checkpoints.write(machine.graph)
    assert [blob.key for blob in store.list(keys.FILES)] == files[:1]


def test_files_of_what_a_lost_request_had_committed_stay_though_another_request_made_its_jobs(store: JobStore) -> None:
    files: list[str] = []
    adders = [Plan("adder", adds_children=[Plan("leaf")]) for _ in range(500)]
    machine = Machine(store, Plan("root", children=adders), {"leaf": [lost_half_way(store, files)] * 500})
    assert machine.run().outcome == "succeeded"
    machine.checkpoints.write(machine.graph)
    assert [blob.key for blob in store.list(keys.FILES)] == sorted(files[:-1])


def test_files_of_an_attempt_that_was_dropped_and_killed_before_it_told_are_swept(store: JobStore) -> None:
    """They stayed for ever: no job of the request was known any more (found when the swarm's check of seed 5987 was read again)."""
    slow: list[Work] = []

    def writes(machine: Machine, work: Work) -> None:
        slow.append(work)
        store.create(keys.attempt_files(work.request, work.tasks[0].job) + "half", b"x")
        machine.put(Update(work.request, State.RUNNING))

    def breaks(machine: Machine, work: Work) -> None:
        failing(Failure(Reason.FAILED, "no"))(machine, work)

    top = Plan("top", checkpoint=True, tries=2, adds_children=[Plan("slow"), Plan("broken", tries=1)])
    machine = Machine(store, Plan("root", children=[top]), {"slow": [writes], "broken": [breaks]})
    assert machine.run().outcome == "succeeded"
    assert machine.cancelled == [slow[0].request]
    machine.checkpoints.write(machine.graph)
    assert not list(store.list(keys.FILES))


def test_what_can_never_fit_is_not_fenced_and_fails(store: JobStore) -> None:
    machine = Machine(store, three(), {"a": [ended(Reason.TOO_BIG, "it needs 900 cores; there are 4", running=False)]})
    assert machine.run().outcome == "failed"
    assert void_of(store, machine.works[1]) is None
    (failure,) = machine.graph.failures.values()
    assert failure.reason is Reason.TOO_BIG and "900 cores" in failure.message


# Failures and time


def test_a_failed_job_is_tried_again_after_its_wait(store: JobStore) -> None:
    broken = failing(Failure(Reason.FAILED, "broken"))
    machine = Machine(store, three(), {"a": [broken, broken]}, policy=Policy(tries=3, backoff=0.01, backoff_factor=1.0))
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a", "a", "a", "b"]


def test_a_very_long_wait_is_no_error(store: JobStore) -> None:
    def broken(machine: Machine, work: Work) -> None:
        failing(Failure(Reason.FAILED, "broken"))(machine, work)
        threading.Timer(0.1, machine.loop.stop).start()

    machine = Machine(store, three(), {"a": [broken]}, policy=Policy(tries=3, backoff=1e300))
    assert machine.run().outcome == "interrupted"


# Stopping


def test_a_signal_stops_the_run_in_good_order(store: JobStore) -> None:
    def interrupted(machine: Machine, work: Work) -> None:
        machine.put(Update(work.request, State.RUNNING))
        os.kill(os.getpid(), signal.SIGTERM)

    machine = Machine(store, Plan("root", children=[Plan("a"), Plan("b"), Plan("c")]), {"b": [interrupted]})
    before = signal.getsignal(signal.SIGTERM)
    with _signals(machine.loop.stop, threading.Event()) as received:
        finish = machine.run()
    assert finish.outcome == "interrupted" and list(received) == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
    assert not machine.graph.requests
    assert void_of(store, next(work for work in machine.works if machine.name(work.tasks[0]) == "b")) is None


def test_files_of_what_a_stop_ended_are_swept(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    def writes_and_stops(machine: Machine, work: Work) -> None:
        store.create(keys.attempt_files(work.request, work.tasks[0].job) + "half", b"x")
        machine.put(Update(work.request, State.RUNNING))
        machine.loop.stop()

    machine = Machine(store, three(), {"a": [writes_and_stops]})
    assert machine.run().outcome == "interrupted"
    assert "run again" not in caplog.text, "no commit is missing"
    machine.checkpoints.write(machine.graph)
    assert not list(store.list(keys.FILES))


def test_what_was_about_to_be_submitted_is_cancelled_too(store: JobStore) -> None:
    def silent(machine: Machine, work: Work) -> None:
        pass

    def both_at_once(machine: Machine, work: Work) -> None:
        if machine.name(work.tasks[0]) == "broken":
            return
        broken = machine.works[1]
        first, second = machine.make(work), machine.make(broken, failure=Failure(Reason.FAILED, "broken"))
        machine.keep(work, first), machine.keep(broken, second)
        machine.put(
            Update(work.request, State.ENDED, commit=first, commits=1), Update(broken.request, State.ENDED, commit=second, commits=1)
        )

    plan = Plan("root", children=[Plan("broken"), Plan("good", adds_children=[Plan("endless") for _ in range(3)])])
    script: dict[str, list[Behaviour]] = {"broken": [both_at_once], "good": [both_at_once], "endless": [silent] * 3}
    machine = Machine(store, plan, script, policy=Policy(tries=1, stop_on_failure=True))
    assert machine.run().outcome == "failed"
    assert {work.request for work in machine.works if machine.name(work.tasks[0]) == "endless"} <= set(machine.cancelled)


def test_what_committed_while_it_was_cancelled_counts(store: JobStore) -> None:
    def stops_and_commits(machine: Machine, work: Work) -> None:
        machine.put(Update(work.request, State.RUNNING))
        machine.keep(work, machine.make(work))
        machine.loop.stop()

    class Slow(Machine):
        def cancel(self, ids: object) -> None:
            self.put(*(Update(id, State.ENDED, Reason.CANCELLED, commits=1) for id in ids))  # type: ignore[attr-defined]

    machine = Slow(store, three(), {"a": [stops_and_commits]})
    assert machine.run().outcome == "interrupted"
    assert machine.graph.ran == 2


# Telling


def test_everybody_is_told_what_happens(store: JobStore) -> None:
    told: list[Event] = []
    plan = Plan("root", adds_children=[Plan("a", says=((20, "hello"),))])
    machine = Machine(store, plan, {"a": [failing(Failure(Reason.FAILED, "broken", log="logs/x", tail="line"))]}, listeners=[told.append])
    machine.run()
    assert [type(event) for event in told] == [JobStarted, JobsAdded, JobDone, AttemptFailed, JobStarted, JobMessage, JobDone]
    failed = next(event for event in told if isinstance(event, AttemptFailed))
    assert (failed.name, failed.reason, failed.message, failed.log, failed.tail) == ("a", Reason.FAILED, "broken", "logs/x", "line")
    assert (failed.final, failed.tries_left) == (False, 1)


def test_a_listener_that_fails_is_logged_and_the_others_go_on(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Event] = []
    calls: list[Event] = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("a plugin's fault")

    machine = Machine(store, three(), listeners=[broken, told.append])
    assert machine.run().outcome == "succeeded"
    assert len(calls) == 1 and len([event for event in told if isinstance(event, JobDone)]) == 3
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_request_that_is_told_twice_to_run_started_the_first_time(store: JobStore) -> None:
    def runs_twice(machine: Machine, work: Work) -> None:
        machine.put(Update(work.request, State.RUNNING, node="n1"), Update(work.request, State.RUNNING, node="n2"))
        carried(machine, work)

    def look(event: Event) -> None:
        if isinstance(event, JobStarted) and event.name == "a":
            request = machine.graph.requests[event.request]
            seen.append((request.node, request.started))

    seen: list[tuple[str, float]] = []
    clock = itertools.count(1000.0)
    machine = Machine(store, three(), {"a": [runs_twice]}, listeners=[look], around=Surroundings(now=lambda: next(clock)))
    assert machine.run().outcome == "succeeded"
    assert [node for node, _ in seen] == ["n1", "n2", "here"]
    assert len({started for _, started in seen}) == 1 and seen[0][1] > 1000


# Checkpoints on the way, and the end of a leader


def test_files_are_deleted_as_the_run_goes_on(store: JobStore) -> None:
    store.create("files/0/x", b"x")

    def looks(machine: Machine, work: Work) -> None:
        machine.world.now = float(not list(store.list("files/0/")))
        carried(machine, work)

    plan = Plan("root", follow_ons=[Plan("a", deletes=("files/0/x",), follow_ons=[Plan("b", follow_ons=[Plan("c")])])])
    machine = Machine(store, plan, {"c": [looks]})
    machine.run()
    assert machine.world.now, "two jobs later it is gone"


def test_a_leader_that_was_replaced_stops(store: JobStore) -> None:
    def replaced(machine: Machine, work: Work) -> None:
        folding.bury(store, 2)
        carried(machine, work)

    machine = Machine(store, Plan("root", deletes=("files/0/x",), follow_ons=[Plan("a", follow_ons=[Plan("b")])]), {"root": [replaced]})
    with pytest.raises(LeaderReplaced, match="another leader"):
        machine.run()


def test_what_the_batch_system_raises_ends_the_run(store: JobStore) -> None:
    class Broken(Machine):
        def updates(self, seconds: float | None = None) -> list[Update]:
            raise Transient("the scheduler is away")

    with pytest.raises(Transient, match="away"):
        Broken(store, three()).run()


def test_the_loop_forgets_requests_that_are_over(store: JobStore) -> None:
    def in_two_updates(machine: Machine, work: Work) -> None:
        data = machine.make(work)
        machine.keep(work, data)
        id = work.request
        machine.put(Update(id, State.RUNNING), Update(id, State.COMMITTED, commit=data), Update(id, State.ENDED, commits=1))

    machine = Machine(store, Plan("root", children=[Plan("a") for _ in range(50)]), {"a": [in_two_updates] * 50})
    machine.run()
    assert len(machine.loop._running) <= 1


def test_a_damaged_blob_in_the_store_is_not_believed_for_its_size(store: JobStore) -> None:
    def padded(machine: Machine, work: Work) -> None:
        store.write(keys.commit(work.request, 0), io.BytesIO(machine.make(work) + b"more"))
        machine.put(Update(work.request, State.ENDED, commits=1))

    machine = Machine(store, three(), {"a": [padded]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran.count("a") == 2


def test_a_commit_altered_on_its_way_counts_before_its_request_ends(store: JobStore) -> None:
    first: list[Work] = []

    def told_in_part(machine: Machine, work: Work) -> None:
        first.append(work)
        data = machine.make(work, final=False)
        assert machine.keep(work, data)
        altered = data[:-1] + bytes([data[-1] ^ 1])
        machine.put(Update(work.request, State.COMMITTED, commit=altered, number=0))

    def then(machine: Machine, work: Work) -> None:
        carried(machine, work)
        machine.put(Update(first[0].request, State.ENDED, commits=1))

    machine = Machine(store, Plan("root", follow_ons=[Plan("a")]), {"root": [told_in_part], "a": [then]})
    assert machine.run().outcome == "succeeded"
    assert machine.ran == ["root", "a"]
