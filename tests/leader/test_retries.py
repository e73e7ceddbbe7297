"""How failed jobs are tried again: how often, when, and with what."""

from __future__ import annotations

import pytest

from toil_core.batch_system import Reason, Requirement
from toil_core.errors import BadOption
from toil_core.leader.options import EngineOptions, parse_retries
from toil_core.leader.retries import Policy, judge
from toil_core.leader.run import _policy
from toil_core.option_parser import OptionParser, add_engine_options, config_from
from toil_core.wire.jobs import Failure, Kind

KIND = Kind("align", Requirement(memory=100, wall_time=10.0))


class Batch:
    """A batch system of which only its capacity is asked."""

    backlog = 1

    def capacity(self) -> Requirement:
        return Requirement(memory=300)

    def slots(self) -> float:
        return 1.0


def policy_of(*arguments: str) -> Policy:
    parser = OptionParser()
    add_engine_options(parser)
    options = config_from(parser.parse_args(arguments), environ={})[EngineOptions]
    return _policy(options, Batch())  # type: ignore[arg-type]


def test_what_ran_out_of_time_gets_more_of_it_up_to_the_limit() -> None:
    kind, policy = KIND, policy_of("--double-time", "--max-wall-time", "35s", "--retry-count", "9")
    limits = []
    for tries in range(4):
        verdict = judge(kind, tries, 0, Failure(Reason.OVER_TIME, ""), policy)
        assert verdict.again and verdict.charged and not verdict.delay
        kind = verdict.kind
        limits.append(kind.requirement.wall_time)
    assert limits == [20.0, 35.0, 35.0, 35.0]
    assert kind.requirement.memory == 100


def test_what_ran_out_of_memory_gets_more_of_it_up_to_the_machine() -> None:
    kind, policy = KIND, policy_of("--doubleMem", "--retry-count", "9")
    amounts = []
    for tries in range(3):
        verdict = judge(kind, tries, 0, Failure(Reason.OUT_OF_MEMORY, ""), policy)
        assert verdict.again and verdict.charged and not verdict.delay
        kind = verdict.kind
        amounts.append(kind.requirement.memory)
    assert amounts == [200, 300, 300]
    assert judge(KIND, 0, 0, Failure(Reason.OUT_OF_MEMORY, ""), policy_of("--max-memory", "150")).kind.requirement.memory == 150


@pytest.mark.parametrize(("typed", "memory"), [(["--doubleMem", "true"], 200), (["--double-mem=yes"], 200), (["--double-mem"], 200), (["--doubleMem", "False"], 100)])
def test_doubling_is_switched_on_and_off_as_users_of_the_reference_do(typed: list[str], memory: int) -> None:
    policy = policy_of(*typed)
    assert judge(KIND, 0, 0, Failure(Reason.OUT_OF_MEMORY, ""), policy).kind.requirement.memory == memory
    with pytest.raises(BadOption, match="--doubleMem"):
        policy_of("--doubleMem=perhaps")


@pytest.mark.parametrize("reason", [Reason.FAILED, Reason.OUT_OF_MEMORY, Reason.OVER_TIME, Reason.OUT_OF_DISK, Reason.KILLED])
def test_what_ends_by_its_own_doing_uses_up_a_try_each_time(reason: Reason) -> None:
    policy = policy_of("--retry-count", "1")
    first, last = judge(KIND, 0, 0, Failure(reason, ""), policy), judge(KIND, 1, 0, Failure(reason, ""), policy)
    assert first.again and first.charged and first.left == 1
    assert not last.again and last.charged and not last.left


def test_factors_never_take_anything_away() -> None:
    policy = policy_of("--out-of-memory-factor", "0", "--overTimeFactor", "0.5")
    for reason in (Reason.OUT_OF_MEMORY, Reason.OVER_TIME):
        assert judge(KIND, 0, 0, Failure(reason, ""), policy).kind == KIND


def test_without_a_limit_of_its_own_time_does_not_grow() -> None:
    kind = Kind("align", Requirement())
    assert judge(kind, 0, 0, Failure(Reason.OVER_TIME, ""), Policy()).kind == kind


@pytest.mark.parametrize(("reason", "attempts"), [(Reason.FAILED, 1), (Reason.OUT_OF_MEMORY, 4), (Reason.KILLED, 3)])
def test_each_reason_may_have_its_own_count(reason: Reason, attempts: int) -> None:
    policy = policy_of("--retry-count", "2", "--retry-count-for", "failed=0", "--retryCountFor", "out-of-memory=3")
    tries = 0
    while judge(KIND, tries, 0, Failure(reason, ""), policy).again:
        tries += 1
    assert tries + 1 == attempts


def test_what_the_job_says_of_itself_comes_first() -> None:
    policy = policy_of("--retry-count-for", "failed=0")
    assert judge(Kind("align", Requirement(), tries=2), 0, 0, Failure(Reason.FAILED, ""), policy).again


def test_waits_grow_only_after_the_jobs_own_errors() -> None:
    policy = policy_of("--retry-count", "5", "--retry-backoff-seconds", "2", "--retry-backoff-factor", "3")
    assert [judge(KIND, tries, 0, Failure(Reason.FAILED, ""), policy).delay for tries in range(3)] == [2.0, 6.0, 18.0]


@pytest.mark.parametrize("text", ["failed", "node lost=3", "failed=-1", "failed=x", "=2"])
def test_counts_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadOption):
        parse_retries(text)


def test_reasons_are_written_in_several_ways() -> None:
    assert {parse_retries(text) for text in ("over time=2", "over-time=2", "Over_Time = 2")} == {"over time=2"}
