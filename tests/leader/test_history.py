"""The history of attempts: nothing is lost, nothing told twice, and it stays small."""

from __future__ import annotations

import random

import pytest

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.errors import CorruptBlob
from toil_core.leader.history import PART, Attempt, Past, decode
from toil_core.leader.state import CHILDREN, FOLLOWING, JobState
from toil_core.wire.jobs import Failure, Kind, Result

SMALL = Kind("small", Requirement(0.5, 64 << 20, 1 << 20, preemptible=True))


def job(id: str = "1-1.0.0", above: tuple[JobState, ...] = (), needs: tuple[JobState, ...] = ()) -> JobState:
    made = JobState(id, SMALL, b"")
    made.above, made.needs = above, needs
    return made


def told(past: Past) -> list[Attempt]:
    return list(decode(past.blob(), "history"))


def test_an_attempt_is_told_with_all_that_is_known_of_it() -> None:
    past, usage = Past(), Usage(1.5, 0.75, 9 << 20, 4096, 512, 1024, 1_700_000_000.25)
    past.committed(job(), "1-7", "node-3", Result("1-1.0.0", log="logs/1-1.0.0/1-7"), usage)
    (attempt,) = told(past)
    assert attempt == Attempt(
        "1-1.0.0", "small", "1-7", "node-3", 1, "done", 1_700_000_000.25, 1.5, 0.75, 9 << 20, 4096, 512, 1024,
        0.5, 64 << 20, 1 << 20, True, "logs/1-1.0.0/1-7", (), (), (),
    )  # fmt: skip


def test_a_failure_is_told_with_its_reason_its_log_and_its_number() -> None:
    past, again = Past(), job()
    again.tries, again.losses = 1, 2
    past.committed(again, "1-8", "", Result(again.id, failure=Failure(Reason.OVER_TIME, "slow", log="logs/x")), Usage())
    past.given_up(again, "1-9", "here", Failure(Reason.NODE_LOST, "gone"), Usage(wall=2.0))
    first, second = told(past)
    assert (first.outcome, first.log, first.attempt, first.started) == ("over time", "logs/x", 4, 0.0)
    assert (second.outcome, second.log, second.node, second.wall) == ("node lost", "", "here", 2.0)


def test_edges_tell_children_from_follow_ons_and_from_values() -> None:
    past, parent, former, producer = Past(), job("0.0"), job("0.1"), job("0.2")
    parent.stage, former.stage = CHILDREN, FOLLOWING
    for number, made in enumerate([job(), job(above=(parent,)), job(above=(former,)), job(above=(parent, former), needs=(producer,))]):
        past.committed(made, f"1-{number}", "", Result(made.id), Usage())
    edges = [(attempt.child_of, attempt.follows, attempt.needs) for attempt in told(past)]
    assert edges == [((), (), ()), (("0.0",), (), ()), ((), ("0.1",), ()), (("0.0",), ("0.1",), ("0.2",))]


def test_what_was_written_is_not_given_again() -> None:
    past = Past()
    assert past.blob() == b""
    past.committed(job(), "1-1", "", Result("a"), Usage())
    first = past.blob()
    past.committed(job(), "1-2", "", Result("b"), Usage())
    assert past.blob().startswith(first) and [attempt.request for attempt in told(past)] == ["1-1", "1-2"]
    past.written()
    assert past.blob() == b""


def test_many_attempts_keep_their_order_and_take_few_bytes() -> None:
    past, chance, count = Past(), random.Random(1), 3 * PART + 7
    started = [1.7e9 + number * 0.001 + chance.random() * 0.001 for number in range(count)]
    for number in range(count):
        made = job(f"1-1.0.{number}")
        usage = Usage(chance.random(), chance.random(), chance.randrange(1000, 20000) * 4096, 4096, 0, 0, started[number])
        past.committed(made, f"1-{number // 5}", "node", Result(made.id), usage)
    attempts = told(past)
    assert [attempt.job for attempt in attempts] == [f"1-1.0.{number}" for number in range(count)]
    assert [attempt.started for attempt in attempts] == pytest.approx(started, abs=1e-5, rel=0)
    assert len(past.blob()) / count < 60


@pytest.mark.parametrize("place", [3, 6, 200])
def test_damage_is_noticed(place: int) -> None:
    past = Past()
    for number in range(100):
        past.committed(job(f"1-1.0.{number}"), "1-1", "", Result("a"), Usage())
    data = bytearray(past.blob())
    data[place] ^= 1
    for damaged in (bytes(data), past.blob()[:-1], past.blob() + b"more"):
        with pytest.raises(CorruptBlob, match="a-key"):
            list(decode(damaged, "a-key"))
