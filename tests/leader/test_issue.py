"""How many ready jobs go out, and how many in one request."""

from __future__ import annotations

import pytest

from tests.leader.world import Plan, World
from toil_core.batch_system import Requirement, Usage
from toil_core.leader.issue import Issuer, Sizing, batch_requirement
from toil_core.leader.state import DONE, ISSUED, READY, JobState, Tally
from toil_core.wire.jobs import Kind

TINY = Kind("tiny", Requirement(cores=1.0))


def ready(issuer: Issuer, count: int, kind: Kind = TINY) -> list[JobState]:
    jobs = [JobState(str(number), kind, b"") for number in range(count)]
    for job in jobs:
        job.stage = READY
        issuer.push(job)
    return jobs


def sizes(issuer: Issuer) -> list[int]:
    return [len(jobs) for _, _, jobs in issuer.take()]


def test_jobs_of_unknown_length_travel_alone() -> None:
    issuer = Issuer(1, Sizing(slots=100.0))
    jobs = ready(issuer, 5)
    assert sizes(issuer) == [1] * 5
    assert all(job.stage is ISSUED for job in jobs)
    assert issuer.waiting() == 0


def test_requests_are_numbered_in_their_epoch() -> None:
    issuer = Issuer(3, Sizing())
    ready(issuer, 2)
    assert [id for id, _, _ in issuer.take()] == ["3-1", "3-2"]
    assert issuer.request() == "3-3"


def test_a_batch_lasts_about_as_long_as_it_should() -> None:
    issuer = Issuer(1, Sizing(slots=1.0, target=0.1, overhead=0.0))
    issuer.learn(TINY, 0.01)
    ready(issuer, 1000)
    assert next(iter(issuer.take()))[2].__len__() == 10


def test_an_isolated_job_costs_more_than_its_own_time() -> None:
    apart = Issuer(1, Sizing(slots=1.0, target=0.1, overhead=0.01))
    apart.learn(TINY, 0.01)
    ready(apart, 1000)
    assert len(next(iter(apart.take()))[2]) == 5
    shared = Kind("tiny", Requirement(cores=1.0), isolated=False)
    together = Issuer(1, Sizing(slots=1.0, target=0.1, overhead=0.01))
    together.learn(shared, 0.01)
    ready(together, 1000, shared)
    assert len(next(iter(together.take()))[2]) == 10


def test_a_batch_leaves_something_for_every_slot() -> None:
    for slots, cores, batch in ((4.0, 1.0, 20), (4.0, 0.5, 10), (None, 1.0, 10), (4.0, 8.0, 80)):
        kind = Kind("tiny", Requirement(cores=cores))
        issuer = Issuer(1, Sizing(slots=slots, overhead=0.0))
        issuer.learn(kind, 1e-6)
        ready(issuer, 160, kind)
        assert len(next(iter(issuer.take()))[2]) == batch, (slots, cores)


def test_no_batch_is_larger_than_the_most() -> None:
    issuer = Issuer(1, Sizing(slots=1.0, most=7, overhead=0.0))
    issuer.learn(TINY, 1e-9)
    ready(issuer, 100)
    assert sizes(issuer)[0] == 7


def test_short_jobs_fly_three_for_each_slot_and_long_ones_as_many_as_are_liked() -> None:
    short, long = Issuer(1, Sizing(slots=2.0, backlog=50)), Issuer(1, Sizing(slots=2.0, backlog=50))
    unknown = Issuer(1, Sizing(slots=None, backlog=50))
    long.learn(TINY, 0.5)
    for issuer, count in ((short, 6), (long, 50), (unknown, 50)):
        ready(issuer, 100)
        assert len(sizes(issuer)) == count
        assert issuer.waiting() == 100 - count
        assert len(list(issuer.ready())) == 100 - count
        issuer.landed("", TINY)
        assert len(sizes(issuer)) == 1


def test_a_pace_is_learnt_slowly() -> None:
    issuer = Issuer(1, Sizing(slots=1.0, target=1.0, overhead=0.0))
    issuer.learn(TINY, 0.1)
    issuer.learn(TINY, 0.2)  # 0.7 of what was known, 0.3 of what is new
    ready(issuer, 1000)
    assert sizes(issuer)[0] == int(1.0 / 0.13)


def test_kinds_take_turns_and_a_kind_without_jobs_is_forgotten() -> None:
    issuer = Issuer(1, Sizing(slots=1.0, backlog=4))
    other = Kind("other", Requirement(cores=1.0))
    ready(issuer, 9)
    ready(issuer, 9, other)
    assert [kind.name for _, kind, _ in issuer.take()] == ["tiny", "other", "tiny", "other"]
    for kind in (TINY, other) * 2:
        issuer.landed("", kind)
    assert issuer.waiting() == 14


def test_what_went_on_elsewhere_is_passed_over_and_its_kind_forgotten() -> None:
    issuer = Issuer(1, Sizing())
    for job in ready(issuer, 3):
        job.stage = DONE
    assert list(issuer.ready()) == []
    assert sizes(issuer) == []
    assert not issuer._others.queues
    ready(issuer, 1)
    assert sizes(issuer) == [1]
    assert issuer._others.queues
    issuer.landed("", TINY)
    assert not issuer._others.queues


def test_a_kind_is_not_forgotten_while_one_that_failed_before_waits() -> None:
    issuer = Issuer(1, Sizing(backlog=1))
    for number in range(2):
        job = JobState(str(number), TINY, b"")
        job.stage, job.tries = READY, 1
        issuer.push(job)
    assert sizes(issuer) == [1]
    issuer.landed("1-1", TINY)
    assert sizes(issuer) == [1]
    issuer.landed("1-2", TINY)
    assert not issuer._others.queues and not issuer.waiting()


@pytest.mark.parametrize(("tries", "losses"), [(1, 0), (0, 1)])
def test_a_job_that_failed_before_travels_alone_and_first(tries: int, losses: int) -> None:
    issuer = Issuer(1, Sizing(slots=1.0, overhead=0.0))
    issuer.learn(TINY, 1e-6)
    ready(issuer, 20)
    again = JobState("again", TINY, b"")
    again.stage, again.tries, again.losses = READY, tries, losses
    issuer.push(again)
    assert [job.id for job in next(iter(issuer.take()))[2]] == ["again"]


def test_jobs_for_which_services_run_go_first_though_others_are_as_many_as_are_liked() -> None:
    issuer = Issuer(1, Sizing(backlog=2))
    kinds = [Kind(f"kind{number}", Requirement(cores=1.0)) for number in range(4)]
    for kind in kinds:
        ready(issuer, 1, kind)
    assert [kind.name for _, kind, _ in issuer.take()] == ["kind0", "kind1"]
    issuer.first = lambda job: job.kind is TINY
    ready(issuer, 1, Kind("last", Requirement(cores=1.0)))
    ready(issuer, 3)
    assert issuer.waiting() == 6 and len(list(issuer.ready())) == 6
    served = issuer.take()
    assert [kind.name for _, kind, _ in served] == ["tiny", "tiny"], "as many again"
    issuer.landed("1-1", kinds[0])
    assert [kind.name for _, kind, _ in issuer.take()] == ["kind2"]
    issuer.landed(served[0][0], TINY)
    assert [kind.name for _, kind, _ in issuer.take()] == ["tiny"]


def test_what_is_put_aside_does_not_go_out() -> None:
    issuer = Issuer(1, Sizing(backlog=1))
    ready(issuer, 3)
    aside: list[JobState] = []

    def gate(job: JobState) -> bool:
        if job.id == "0":
            aside.append(job)
            return True
        return False

    issuer.gate = gate
    ids = []
    for _ in range(2):
        ids += [job.id for _, _, jobs in issuer.take() for job in jobs]
        issuer.landed("", TINY)
    assert ids == ["1", "2"]
    assert [job.id for job in aside] == ["0"]
    assert aside[0].stage is READY


def test_a_batch_gets_the_time_of_all_its_jobs() -> None:
    timed = Kind("timed", Requirement(wall_time=10.0))
    assert batch_requirement(timed, 1) is timed.requirement
    assert batch_requirement(timed, 3) == Requirement(wall_time=30.0)
    assert batch_requirement(TINY, 3) is TINY.requirement


def test_the_pace_is_the_mean_of_a_batch() -> None:
    leaves = [Plan("leaf") for _ in range(900)]
    world = World(Plan("root", children=leaves), sizing=Sizing(slots=4.0, overhead=0.0012))
    world.run()
    batches = [len(request.tasks) for request in world.requests if request.name == "leaf"]
    assert max(batches) == int(0.1 / (0.001 + 0.0012))


def test_a_tally_adds_up() -> None:
    tally = Tally()
    tally.add(Usage(wall=1.0, cpu=0.5, memory=7))
    tally.add(Usage(wall=2.0, cpu=0.25, memory=3))
    assert (tally.ran, tally.wall, tally.cpu, tally.memory) == (2, 3.0, 0.75, 7)


@pytest.mark.parametrize(("seconds", "requests"), [(0.49, 3), (0.5, 200)])
def test_from_half_a_second_on_a_job_is_long(seconds: float, requests: int) -> None:
    issuer = Issuer(1, Sizing(slots=1.0, overhead=0.0))
    issuer.learn(TINY, seconds)
    ready(issuer, 300)
    assert sizes(issuer) == [1] * requests, "the batch system packs the long ones"


def test_a_job_of_unknown_length_is_taken_for_a_short_one() -> None:
    issuer = Issuer(1, Sizing(slots=2.0))
    ready(issuer, 20)
    assert sizes(issuer) == [1] * 6


def test_where_slots_are_unknown_batches_leave_something_for_eight() -> None:
    issuer = Issuer(1, Sizing(slots=None, overhead=0.0))
    issuer.learn(TINY, 1e-6)
    ready(issuer, 160)
    assert sizes(issuer)[0] == 10


@pytest.mark.parametrize(("cores", "requests"), [(4.0, 3), (0.5, 6), (0.001, 300)])
def test_how_many_fit_side_by_side_is_told_by_their_cores(cores: float, requests: int) -> None:
    kind = Kind("some", Requirement(cores=cores))
    issuer = Issuer(1, Sizing(slots=1.0, backlog=1000, overhead=0.0))
    issuer.learn(kind, 0.1)
    ready(issuer, 1000, kind)
    assert sizes(issuer) == [1] * requests, "three each, and one at least"


def test_a_kind_that_may_not_go_out_now_keeps_no_other_back() -> None:
    issuer = Issuer(1, Sizing(slots=1.0))
    kinds = [Kind(f"kind{number}", Requirement(cores=1.0)) for number in range(4)]
    jobs = [ready(issuer, 5, kind) for kind in kinds]
    assert sizes(issuer) == [1] * 12 and not sizes(issuer)
    issuer.landed("", kinds[2])
    assert [kind.name for _, kind, _ in issuer.take()] == ["kind2"]
    assert issuer.waiting() == 7 and len(list(issuer.ready())) == 7
    for job in jobs[0]:
        job.stage = DONE
    assert len(list(issuer.ready())) == 5, "those that went on elsewhere are none"


def test_of_those_that_failed_before_none_is_forgotten() -> None:
    issuer = Issuer(1, Sizing())
    for number in range(3):
        job = JobState(str(number), TINY, b"")
        job.stage, job.tries = READY, 1
        issuer.push(job)
    assert issuer.waiting() == len(list(issuer.ready())) == 3, "each is held once"
    assert sizes(issuer) == [1, 1, 1]
