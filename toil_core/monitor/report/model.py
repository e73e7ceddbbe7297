"""All that a report tells of a run, as data."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Iterable, Sequence

import msgspec

from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.monitor.progress import logs_command
from toil_core.monitor.report.advice import Advice, advice, incomplete
from toil_core.monitor.report.columns import Packed, pack
from toil_core.monitor.report.graph import Picture, edges, picture
from toil_core.monitor.report.kinds import DONE, KindUse, kind_uses
from toil_core.monitor.report.lanes import crowd, lanes
from toil_core.monitor.status import FailedJob, Status

LISTED = 200
"""Of failed attempts, so many are listed one by one."""
SLOWEST = 20
_TICKS = 100_000
"""Of a second; times in the timeline are whole numbers of them."""


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


class Shortfall(msgspec.Struct, frozen=True):
    """An attempt that did not succeed.

    Args:
        job: The job's id.
        name: The job's name.
        attempt: Which attempt.
        fate: What came of the job: `failed`, `open` or `done`.
        reason: Why the attempt did not succeed.
        message: The error in a line; empty when it is not kept.
        exit_code: Of its process; None when it is not known.
        node: Where it ran.
        wall: Seconds it took.
        log: The command that shows its log; empty when there is none.
        tail: The last lines of the log, when they are kept.
    """

    job: str
    name: str
    attempt: int
    fate: str
    reason: str
    message: str
    exit_code: int | None
    node: str
    wall: float
    log: str
    tail: str


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


class Timeline(msgspec.Struct, frozen=True):
    """Every attempt whose time is known.

    Args:
        ticks: How many units of time make a second.
        kinds: Table of names.
        nodes: Table of nodes.
        lanes: Of each node, how many attempts at once it had.
        outcomes: Table of outcomes; the first is `done`.
        requests: Table of requested cores, memory and disk.
        left_out: Attempts whose time is not known.
        packed: Columns `start`, `wall`, `cpu` (in units from the start of the first attempt), `memory` (in KiB), `kind`, `node`,
            `lane`, `outcome`, `request`, `attempt`; the texts are the jobs' ids.
    """

    ticks: int
    kinds: tuple[str, ...]
    nodes: tuple[str, ...]
    lanes: tuple[int, ...]
    outcomes: tuple[str, ...]
    requests: tuple[tuple[float, int, int], ...]
    left_out: int
    packed: Packed


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
        attempts: The attempts that ended.
        graph: The graph as it is, for jobs that have not run yet.
        now: The time, in seconds since 1970; None for the clock's.
        damaged: What is wrong with what told of further attempts; it may grow while `attempts` are read.
    """
    ended = sorted(attempts, key=lambda attempt: attempt.started)
    timed = [attempt for attempt in ended if attempt.started > 0]
    kinds = kind_uses(ended)
    names = _numbered([kind.name for kind in kinds])
    nodes = _numbered(sorted({attempt.node for attempt in timed}, key=_natural))
    spans = [(nodes[attempt.node], attempt.started, attempt.started + attempt.wall) for attempt in timed]
    beside = crowd(spans)
    last = max((end for _, _, end in spans), default=0.0)
    first = timed[0].started if timed else 0.0
    alone = [(timed[number].job, timed[number].name, seconds) for number, seconds in beside.alone.items()]
    facts = Facts(
        outcome(status), status.total, status.done, status.failed, len(ended), sum(attempt.outcome != DONE for attempt in ended),
        first, last, beside.busy, sum(attempt.wall for attempt in ended), sum(attempt.cpu for attempt in ended),
        sum(attempt.cores * attempt.wall for attempt in ended if attempt.cpu > 0), beside.peak, len(nodes),
        sum(attempt.read for attempt in ended), sum(attempt.written for attempt in ended),
    )  # fmt: skip
    jobs = {kind.name: kind.total for kind in status.kinds} or {kind.name: kind.jobs for kind in kinds}
    return Report(
        time.time() if now is None else now, status, facts, tuple(kinds), picture(jobs, edges(ended, graph)),
        tuple(_shortfalls(status, ended)), tuple(map(_slow, heapq.nlargest(SLOWEST, ended, key=lambda attempt: attempt.wall))),
        (*map(incomplete, damaged), *advice(kinds, beside.busy, heapq.nlargest(3, alone, key=lambda job: job[2]))),
        _timeline(timed, spans, names, nodes, len(ended) - len(timed)),
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


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts `node-2` before `node-10`."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", name)]


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def _timeline(
    timed: Sequence[Attempt], spans: Sequence[tuple[int, float, float]], names: dict[str, int], nodes: dict[str, int], left_out: int
) -> Timeline:
    first = timed[0].started if timed else 0.0
    lane, made = lanes(spans)
    outcomes = _numbered(list(dict.fromkeys([DONE, *(attempt.outcome for attempt in timed)])))
    requests: dict[tuple[float, int, int], int] = {}
    columns = {
        "start": [round((attempt.started - first) * _TICKS) for attempt in timed],
        "wall": [round(attempt.wall * _TICKS) for attempt in timed],
        "cpu": [round(attempt.cpu * _TICKS) for attempt in timed],
        "memory": [attempt.memory >> 10 for attempt in timed],
        "kind": [names[attempt.name] for attempt in timed],
        "node": [span[0] for span in spans],
        "lane": lane,
        "outcome": [outcomes[attempt.outcome] for attempt in timed],
        "request": [requests.setdefault((a.cores, a.requested_memory, a.requested_disk), len(requests)) for a in timed],
        "attempt": [attempt.attempt for attempt in timed],
    }
    packed = pack(columns, [attempt.job for attempt in timed], growing=("start",))
    return Timeline(_TICKS, tuple(names), tuple(nodes), tuple(made), tuple(outcomes), tuple(requests), left_out, packed)


def _slow(attempt: Attempt) -> Slow:
    return Slow(
        attempt.job, attempt.name, attempt.node, attempt.started, attempt.wall, attempt.cpu, attempt.memory, attempt.outcome
    )  # fmt: skip


def _shortfalls(status: Status, ended: Sequence[Attempt]) -> list[Shortfall]:
    known = {failure.job: failure for failure in status.failures}
    newest: dict[str, Attempt] = {}
    found = []
    for attempt in ended:
        if attempt.outcome == DONE:
            continue
        newest[attempt.job] = attempt
    done = {attempt.job for attempt in ended if attempt.outcome == DONE}
    for attempt in ended:
        if attempt.outcome == DONE:
            continue
        failure = known.get(attempt.job) if newest[attempt.job] is attempt else None
        fate = "failed" if attempt.job in known and known[attempt.job].final else "done" if attempt.job in done else "open"
        found.append(_shortfall(attempt, fate, failure, status.job_store))
    untold = [failure for failure in status.failures if failure.job not in newest]  # before its first attempt was recorded
    found += [
        Shortfall(
            failure.job, failure.name, 0, "failed" if failure.final else "open", failure.reason, failure.message, failure.exit_code, "", 0.0,
            logs_command(status.job_store, failure.job) if failure.log else "", failure.tail,
        )
        for failure in untold
    ]  # fmt: skip
    order = ("failed", "open", "done")
    found.sort(key=lambda item: (order.index(item.fate), not item.message))
    return found[:LISTED]


def _shortfall(attempt: Attempt, fate: str, failure: FailedJob | None, locator: str) -> Shortfall:
    log = failure.log if failure else attempt.log
    command = logs_command(locator, attempt.job) if log else ""
    if log and failure is None:
        command += f" --attempt {log.rpartition('/')[2]}"
    return Shortfall(
        attempt.job, attempt.name, attempt.attempt, fate, attempt.outcome, failure.message if failure else "",
        failure.exit_code if failure else None, attempt.node, attempt.wall, command, failure.tail if failure else "",
    )  # fmt: skip
