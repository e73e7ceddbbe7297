"""All that a report tells of a run, as data."""

from __future__ import annotations

import heapq
import math
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.monitor.report.advice import Advice, advice, incomplete
from toil_core.monitor.report.graph import Picture, Relations, picture
from toil_core.monitor.report.kinds import KindUse, Uses
from toil_core.monitor.report.lanes import Crowd, crowd
from toil_core.monitor.report.rows import Rows, picked
from toil_core.monitor.report.shortfalls import Shortfall, shortfalls
from toil_core.monitor.report.timeline import Timeline, timeline
from toil_core.monitor.status import Status

SLOWEST = 20


class Facts(msgspec.Struct, frozen=True):
    """The run as a whole.

    Args:
        outcome: `succeeded`, `failed`, `running`, `stopped` (in good order, to be gone on with), `died` (its leader did),
            `unknown` (its leader cannot be asked from here) or `not started`.
        jobs: Jobs known.
        done: Jobs whose bodies ran.
        failed: Jobs that failed for good.
        attempts: Attempts that ended.
        again: Attempts that ended without success.
        started: When the first attempt began, in seconds since 1970; 0 when none did.
        ended: When the last attempt ended.
        busy: Seconds in which at least one attempt ran.
        wall: Seconds that all attempts took, added up.
        cpu: Processor seconds of all attempts.
        requested: Seconds times cores that were requested, of attempts whose use was measured.
        peak: Attempts that ran at the busiest moment.
        nodes: Machines that attempts ran on.
        read: Bytes read from block devices.
        written: Bytes written to them.
    """

    outcome: str
    jobs: int
    done: int
    failed: int
    attempts: int
    again: int
    started: float
    ended: float
    busy: float
    wall: float
    cpu: float
    requested: float
    peak: int
    nodes: int
    read: int
    written: int


class Slow(msgspec.Struct, frozen=True):
    """One of the attempts that took longest.

    Args:
        job: The job's id.
        name: The job's name.
        node: Where it ran.
        started: When, in seconds since 1970.
        wall: Seconds it took.
        cpu: Processor seconds it took.
        memory: Bytes at its peak.
        outcome: `done`, or why it did not succeed.
    """

    job: str
    name: str
    node: str
    started: float
    wall: float
    cpu: float
    memory: int
    outcome: str


class Report(msgspec.Struct, frozen=True):
    """A run.

    Args:
        made: When the report was made, in seconds since 1970.
        status: How far the workflow is.
        facts: The run as a whole.
        kinds: What each kind used, the one that took most time first.
        picture: The graph; None when it has too many names.
        failures: Attempts that did not succeed, at most 200; jobs that failed for good come first.
        slowest: The attempts that took longest.
        advice: What to change.
        timeline: Every attempt.
    """

    made: float
    status: Status
    facts: Facts
    kinds: tuple[KindUse, ...]
    picture: Picture | None
    failures: tuple[Shortfall, ...]
    slowest: tuple[Slow, ...]
    advice: tuple[Advice, ...]
    timeline: Timeline


def build(
    status: Status, attempts: Iterable[Attempt], graph: Graph | None = None, *, now: float | None = None, damaged: Sequence[str] = ()
) -> Report:
    """All that a report tells.

    Args:
        status: How far the workflow is.
        attempts: The attempts that ended; each is forgotten when its numbers are taken.
        graph: The graph as it is, for jobs that have not run yet.
        now: The time, in seconds since 1970; None for the clock's.
        damaged: What is wrong with what told of further attempts; it may grow while `attempts` are read.
    """
    rows, uses = Rows(), Uses()
    relations = Relations(uses.names)
    for attempt in attempts:
        rows.add(attempt)
        if uses.add(attempt):
            relations.add(attempt)
    kinds, edges = uses.found(), relations.found(graph)
    del uses, relations  # the largest that there is, beside the rows
    order = rows.by_start()
    timed = order[bisect_right(order, 0.0, key=rows.started.__getitem__) :]
    beside = crowd(rows.spans(timed))
    alone = [(rows.job[timed[number]], rows.names.entries[rows.name[timed[number]]], seconds) for number, seconds in beside.alone.items()]
    jobs = {kind.name: kind.total for kind in status.kinds} or {kind.name: kind.jobs for kind in kinds}
    return Report(
        time.time() if now is None else now, status, _facts(status, rows, timed, kinds, beside), tuple(kinds), picture(jobs, edges),
        tuple(shortfalls(status, rows, order)), tuple(_slowest(rows, order)),
        (*map(incomplete, damaged), *advice(kinds, beside.busy, heapq.nlargest(3, alone, key=lambda job: job[2]))),
        timeline(rows, timed, [kind.name for kind in kinds]),
    )  # fmt: skip


def outcome(status: Status) -> str:
    """What came of the workflow, in a word; see `Facts`."""
    if status.complete:
        return "succeeded"
    if status.leader.state == "running":
        return "running"
    if status.failed:
        return "failed"
    return {"stopped": "stopped", "dead": "died", "unknown": "unknown"}.get(status.leader.state, "not started")


def _facts(status: Status, rows: Rows, timed: Sequence[int], kinds: Sequence[KindUse], beside: Crowd) -> Facts:
    cores = [cores for cores, _, _ in rows.requests.entries]
    return Facts(
        outcome(status), status.total, status.done, status.failed, len(rows), sum(number != 0 for number in rows.outcome),
        rows.started[timed[0]] if timed else 0.0, max((end for _, _, end in rows.spans(timed)), default=0.0), beside.busy,
        math.fsum(rows.wall), math.fsum(rows.cpu),
        math.fsum(cores[request] * wall for request, wall, cpu in zip(rows.request, rows.wall, rows.cpu, strict=True) if cpu > 0),
        beside.peak, len(set(picked(rows.node, timed))), sum(kind.read for kind in kinds), sum(kind.written for kind in kinds),
    )  # fmt: skip


def _slowest(rows: Rows, order: Iterable[int]) -> Iterator[Slow]:
    names, nodes, outcomes = rows.names.entries, rows.nodes.entries, rows.outcomes.entries
    for row in heapq.nlargest(SLOWEST, order, key=rows.wall.__getitem__):
        yield Slow(
            rows.job[row], names[rows.name[row]], nodes[rows.node[row]], rows.started[row], rows.wall[row], rows.cpu[row], rows.memory[row],
            outcomes[rows.outcome[row]],
        )  # fmt: skip
