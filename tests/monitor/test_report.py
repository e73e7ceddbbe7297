from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.monitor import synthetic
from tests.monitor.synthetic import GIB, MIB, START
from toil_core.leader.history import Attempt
from toil_core.monitor.report.advice import advice, rounded_up
from toil_core.monitor.report.columns import pack, unpack
from toil_core.monitor.report.distribution import BINS, distribution, quantile
from toil_core.monitor.report.kinds import KindUse, Uses
from toil_core.monitor.report.lanes import crowd, lanes
from toil_core.monitor.report.model import build, outcome
from toil_core.monitor.report.shortfalls import LISTED
from toil_core.monitor.status import FailedJob, LeaderStatus

PLAIN = Attempt(
    "0.0", "align", "1-1", "a", 1, "done", START, 10.0, 9.0, 300 * MIB, 0, 0, 0, 1.0, 2 * GIB, 2 * GIB, False, "", (), (), ()
)  # fmt: skip
FAILED = FailedJob("0.0", "align", True, "out of memory", "used 2.1 GiB of 2 GiB", -9, "logs/0.0/1-2", "the end")


def attempt(**changes: Any) -> Attempt:
    return msgspec.structs.replace(PLAIN, **changes)


def kind_uses(attempts: Iterable[Attempt]) -> list[KindUse]:
    uses = Uses()
    for each in attempts:
        uses.add(each)
    return uses.found()


def told(*attempts: Attempt) -> list[str]:
    return [item.text for item in advice(kind_uses(attempts), 100.0, [])]


# Numbers


@given(st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=200))
def test_a_distribution_holds_every_number(numbers: list[float]) -> None:
    found = distribution(numbers)
    assert (found.count, found.least, found.most) == (len(numbers), min(numbers), max(numbers))
    assert found.least <= found.low <= found.median <= found.high <= found.most
    assert found.zeros + sum(many for _, many in found.bins) == len(numbers)
    for bin, many in found.bins:
        low, high = 2 ** (bin / BINS) * (1 - 1e-9), 2 ** ((bin + 1) / BINS) * (1 + 1e-9)
        assert sum(low <= number <= high for number in numbers) >= many
    assert found.values == (tuple(sorted(numbers)) if len(numbers) <= 40 else ())


def test_quantiles_lie_between_neighbours() -> None:
    assert [quantile([1, 2, 4], share) for share in (0, 0.25, 0.5, 0.75, 1)] == [1, 1.5, 2, 3, 4]
    assert quantile([7], 0.5) == 7


@given(st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 300), st.text("0-9.", max_size=9)), max_size=50))
def test_what_is_packed_comes_out(rows: list[tuple[int, int, str]]) -> None:
    columns = {"growing": sorted(row[0] for row in rows), "any": [row[1] for row in rows], "nothing": [0 for _ in rows]}
    texts = [row[2] for row in rows]
    assert unpack(pack(columns, texts, growing=("growing",))) == (columns, texts)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 100), st.floats(0, 20)), max_size=60))
def test_lanes_hold_one_at_a_time(rows: list[tuple[int, float, float]]) -> None:
    spans = [(node, start, start + length) for node, start, length in sorted(rows, key=lambda row: row[1])]
    found, made = lanes(spans)
    ends: dict[tuple[int, int], float] = {}
    for (node, start, end), lane in zip(spans, found, strict=True):
        assert ends.get((node, lane), -1.0) <= start + 0.0021
        assert lane < made[node]
        ends[node, lane] = end
    for node, many in enumerate(made):  # none more than were needed at some moment
        moments = [sum(n == node and s <= start and (e > start + 0.002 or s == start) for n, s, e in spans) for _, start, _ in spans]
        assert many <= max(moments, default=0)


def test_the_crowd_is_counted_and_who_was_alone() -> None:
    found = crowd([(0, 0.0, 10.0), (1, 4.0, 6.0), (0, 10.0, 12.0), (0, 20.0, 21.0)])
    assert found.peak == 2
    assert found.busy == pytest.approx(13.0, abs=0.01)
    assert found.alone == {0: pytest.approx(8.0, abs=0.01), 2: pytest.approx(2.0, abs=0.01), 3: pytest.approx(1.0, abs=0.01)}
    assert crowd([]).peak == 0
    assert crowd([(0, 1.0, 1.0), (0, 2.0, 3.0), (0, 4.0, 5.0)]).busy == pytest.approx(2.0, abs=0.01)  # what took no time does not last either


# What kinds used


def test_a_kind_is_told_by_its_attempts() -> None:
    lost = attempt(job="0.2", outcome="node lost", wall=5.0, cpu=0.0, memory=0)
    brief = attempt(job="0.3", wall=0.01, cpu=0.5)
    (kind,) = kind_uses([PLAIN, attempt(job="0.1", memory=310 * MIB, cpu=5.0), lost, brief])
    assert (kind.jobs, kind.attempts, kind.failed, kind.lost) == (4, 4, {"node lost": 1}, 5.0)
    assert (kind.memory.used.count, kind.memory.used.most, kind.enough) == (3, 310 * MIB, 310 * MIB)  # a lost node told nothing
    assert kind.cores.used.values == (0.5, 0.9)  # what is too brief is not judged
    assert kind.cores.requested is not None
    assert kind.idle_cores == pytest.approx(1.0 + 5.0)
    assert kind.idle_memory == pytest.approx(10 * (2048 - 300) * MIB + 10 * (2048 - 310) * MIB + 0.01 * (2048 - 300) * MIB)


def test_kinds_come_by_the_time_they_took() -> None:
    assert [kind.name for kind in kind_uses([PLAIN, attempt(name="sort", wall=30.0), attempt(name="zip", wall=20.0)])] == ["sort", "zip", "align"]


# Advice


def test_too_much_memory_is_named_with_figures() -> None:
    group = [attempt(job=f"0.{number}", memory=size * MIB) for number, size in enumerate((250, 310, 280))]
    assert told(*group) == ["align asked for 2 GiB of memory and used at most 310 MiB: ask for 400 MiB, and five times as many fit into the same memory."]
    assert told(*group[:2]) == []  # two tell nothing about a third
    assert told(*(msgspec.structs.replace(each, requested_memory=450 * MIB) for each in group)) == []


def test_memory_that_ran_out_is_not_called_too_much() -> None:
    group = [attempt(job=f"0.{number}", memory=300 * MIB) for number in range(5)]
    short = attempt(job="0.9", outcome="out of memory", memory=2 * GIB)
    assert told(*group, short) == [
        "align ran out of memory in 1 of 6 attempts, at requests from 2 GiB on; the most that one used which succeeded was 300 MiB: ask for 2.5 GiB."
    ]


def test_cores_that_idle_and_cores_that_are_not_asked_for() -> None:
    many = [attempt(job=f"0.{number}", cores=8.0, cpu=19.0, memory=2 * GIB) for number in range(4)]
    assert told(*many) == ["align asked for 8 cores and kept at most 1.9 busy, on average over an attempt: ask for 2 cores, and four times as many fit onto the same cores, if nothing else kept their machines busy."]
    greedy = [attempt(job=f"0.{number}", cpu=40.0, memory=2 * GIB) for number in range(4)]
    assert told(*greedy) == ["align asked for 1 core and kept 4 busy in half of its attempts, up to 4: ask for 4 cores, or jobs beside it get less than they asked for."]


def test_disk_failures_brief_jobs_and_lonely_ones() -> None:
    fat = [attempt(job=f"0.{number}", memory=2 * GIB, disk=3 * GIB) for number in range(3)]
    assert told(*fat) == ["align left up to 3.0 GiB on the disk and had asked for 2 GiB: ask for 4 GiB."]
    bad = [attempt(memory=2 * GIB), attempt(memory=2 * GIB, outcome="failed", wall=5.0)]
    assert told(*bad) == ["align spent 5.00 s (33% of all time in jobs) in attempts that did not succeed (failed 1)."]
    gone = [attempt(memory=2 * GIB), attempt(memory=2 * GIB, outcome="preempted", wall=5.0)]
    assert told(*gone) == ["align lost 5.00 s (33% of all time in jobs) with 1 node that went away under it: shorter jobs lose less."]
    brief = [attempt(job=f"0.{number}", wall=0.002, cpu=0.001, memory=2 * GIB) for number in range(1000)]
    assert "isolated=False" in told(*brief)[0]
    (alone,) = advice(kind_uses([attempt(memory=2 * GIB)]), 20.0, [("0.7", "merge", 10.0), ("0.8", "merge", 1.0)])
    assert alone.text.startswith("For 10.0 s, 50% of the whole time, merge 0.7 was the only job that ran")


def test_frugal_jobs_get_no_advice() -> None:
    assert told(*(attempt(job=f"0.{number}", memory=1900 * MIB) for number in range(10))) == []


@given(st.integers(1, 1 << 50))
def test_sizes_are_rounded_up_but_not_far(size: int) -> None:
    assert size <= rounded_up(size)
    assert rounded_up(size) <= 1.51 * size + (1 << 20)


# The whole


def test_ten_jobs() -> None:
    attempts = synthetic.small()
    report = build(synthetic.status(attempts), attempts)
    facts = report.facts
    assert (facts.outcome, facts.jobs, facts.done, facts.attempts, facts.again, facts.nodes) == ("succeeded", 10, 10, 10, 0, 1)
    assert facts.ended - facts.started == pytest.approx(max(a.started + a.wall for a in attempts) - min(a.started for a in attempts))
    assert facts.wall == pytest.approx(sum(a.wall for a in attempts))
    assert 1 <= facts.peak <= 4
    columns, ids = unpack(report.timeline.packed)
    for row, job in enumerate(ids):
        (mine,) = [a for a in attempts if a.job == job]
        assert columns["start"][row] / report.timeline.ticks == pytest.approx(mine.started - facts.started, abs=1e-4)
        assert columns["wall"][row] / report.timeline.ticks == pytest.approx(mine.wall, abs=1e-4)
        assert columns["memory"][row] == mine.memory >> 10
        assert report.timeline.kinds[columns["kind"][row]] == mine.name
        assert report.timeline.nodes[columns["node"][row]] == mine.node
        assert report.timeline.requests[columns["request"][row]] == (mine.cores, mine.requested_memory, mine.requested_disk)


def test_attempts_without_a_time_are_counted_and_left_out_of_the_timeline() -> None:
    attempts = [PLAIN, attempt(job="0.1", started=0.0, outcome="node lost")]
    report = build(synthetic.status(attempts), attempts)
    assert (report.facts.attempts, report.timeline.packed.rows, report.timeline.left_out) == (2, 1, 1)
    assert report.facts.started == PLAIN.started


def test_nothing_that_ran_makes_a_report_too() -> None:
    report = build(synthetic.status([]), [])
    assert (report.facts.attempts, report.facts.peak, report.kinds, report.advice) == (0, 0, (), ())


def test_failures_say_what_came_of_the_job_and_where_its_log_is() -> None:
    first = attempt(outcome="out of memory", log="logs/0.0/1-1")
    last = attempt(outcome="out of memory", request="1-2", attempt=2, started=START + 20, log="logs/0.0/1-2")
    later = attempt(job="0.1", outcome="preempted", request="1-3")
    again = attempt(job="0.1", request="1-4", attempt=2, started=START + 50)
    attempts = [first, last, later, again]
    report = build(synthetic.status(attempts, failures=[FAILED], complete=False), attempts)
    assert [(f.job, f.attempt, f.fate, f.message, f.exit_code) for f in report.failures] == [
        ("0.0", 2, "failed", FAILED.message, -9), ("0.0", 1, "failed", "", None), ("0.1", 1, "done", "", None),
    ]  # fmt: skip
    assert [f.log for f in report.failures] == ["toil logs file:genomes 0.0", "toil logs file:genomes 0.0 --attempt 1-1", ""]
    assert report.failures[0].tail == "the end"
    assert report.facts.outcome == "failed"


def test_only_so_many_failures_are_listed() -> None:
    attempts = [attempt(job=f"0.{number}", outcome="failed") for number in range(LISTED + 50)]
    assert len(build(synthetic.status(attempts), attempts).failures) == LISTED


@pytest.mark.parametrize(
    ("state", "complete", "failed", "word"),
    [("stopped", True, 0, "succeeded"), ("running", False, 1, "running"), ("stopped", False, 1, "failed"), ("stopped", False, 0, "stopped"),
     ("dead", False, 0, "died"), ("unknown", False, 0, "unknown"), ("none", False, 0, "not started")],
)  # fmt: skip
def test_the_outcome_in_a_word(state: Any, complete: bool, failed: int, word: str) -> None:
    status = msgspec.structs.replace(synthetic.status([PLAIN]), leader=LeaderStatus(state), complete=complete, failed=failed)
    assert outcome(status) == word


def test_runs_of_the_generator_keep_their_own_rules() -> None:
    jobs = synthetic.planned(500)
    attempts = synthetic.run(jobs, nodes=2, slots=4)
    assert attempts == synthetic.run(jobs, nodes=2, slots=4)
    done = {a.job: a.started + a.wall for a in attempts if a.outcome == "done"}
    assert set(done) == {job.id for job in jobs}
    assert all(done[before] <= a.started for a in attempts for before in (*a.child_of, *a.needs))
    report = build(synthetic.status(attempts), random.Random(1).sample(attempts, len(attempts)))
    assert report.facts.peak <= 8


def test_attempts_are_not_held_while_they_are_read() -> None:
    many = 20_000
    attempts = (attempt(job=f"0.{number}", request=f"1-{number}", started=START + number, wall=1.0 + number) for number in range(many))
    status = synthetic.status([])
    tracemalloc.start()
    try:
        report = build(status, attempts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.facts.attempts == many
    assert peak < 400 * many
