"""Runs that never were: what a leader would have recorded of them, the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from toil_core.leader.history import Attempt
from toil_core.monitor.status import FailedJob, KindStatus, LeaderStatus, Status

MIB, GIB = 1 << 20, 1 << 30
START = 1_760_000_000.0
LOCATOR = "file:genomes"


@dataclass(frozen=True)
class Sort:
    """How jobs of a name behave.

    Args:
        name: The name.
        wall: Seconds, about.
        cores: Requested.
        busy: Cores kept busy, about.
        memory: Bytes requested.
        peak: Bytes used, about.
        fails: Share of attempts that fail, by reason.
    """

    name: str
    wall: float
    cores: float
    busy: float
    memory: int
    peak: int
    fails: tuple[tuple[str, float], ...] = ()


PREPARE = Sort("prepare", 12, 1, 0.6, GIB, 180 * MIB)
SPLIT = Sort("split", 4, 1, 0.9, 512 * MIB, 120 * MIB)
ALIGN = Sort("align", 20, 2, 1.7, 2 * GIB, 250 * MIB, (("preempted", 0.01), ("failed", 0.004)))
SORT = Sort("sort_reads", 6, 1, 0.5, 2 * GIB, 1300 * MIB, (("out of memory", 0.01),))
CALL = Sort("call_variants", 14, 1, 0.95, GIB, 700 * MIB)
CHECK = Sort("check", 0.03, 0.1, 0.09, 64 * MIB, 12 * MIB)
MERGE = Sort("merge", 40, 1, 0.3, 4 * GIB, 900 * MIB)


@dataclass(frozen=True)
class Planned:
    """A job to be run.

    Args:
        id: Its id.
        sort: What it is.
        child_of: Ids.
        follows: Ids.
        needs: Ids.
    """

    id: str
    sort: Sort
    child_of: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def planned(jobs: int) -> list[Planned]:
    """So many jobs: samples that are split, aligned, sorted, checked and called, and a merge of all."""
    root = Planned("0.0", PREPARE)
    found, number = [root], 0
    calls: list[str] = []
    while len(found) < jobs - 1:
        number += 1
        split = Planned(f"1-1.0.{number}", SPLIT, child_of=(root.id,))
        found.append(split)
        values: list[str] = []
        for part in range(min(8, (jobs - 2 - len(found)) // 3)):
            align = Planned(f"1-{number + 1}.0.{part}", ALIGN, child_of=(split.id,))
            sort = Planned(f"1-{number + 1}.1.{part}", SORT, child_of=(split.id,), needs=(align.id,))
            found += [align, sort, Planned(f"1-{number + 1}.2.{part}", CHECK, child_of=(sort.id,))]
            values.append(sort.id)
        if len(found) < jobs - 1:
            call = Planned(f"1-{number + 1}.3.0", CALL, follows=(split.id,), needs=tuple(values))
            found.append(call)
            calls.append(call.id)
    found.append(Planned("0.1", MERGE, follows=(root.id,), needs=tuple(calls[:100])))
    return found[:jobs]


def run(jobs: Sequence[Planned], *, nodes: int, slots: int, seed: int = 1) -> list[Attempt]:
    """What became of the jobs on so many nodes with so many slots each: what is ready first runs first."""
    dice = random.Random(seed)
    after: dict[str, list[int]] = {}
    waits = []
    last = {job.id for job in jobs} - {"0.0", "0.1"}
    for number, job in enumerate(jobs):
        before = {*job.child_of, *job.needs, *job.follows, *(last if job.sort is MERGE else ())}
        waits.append(len(before))
        for id in before:
            after.setdefault(id, []).append(number)
    free = [(START, node, slot) for node in range(nodes) for slot in range(slots)]
    heapq.heapify(free)
    ready = [(START, 0, 1)]
    found: list[Attempt] = []
    while ready:
        since, number, attempt = heapq.heappop(ready)
        job = jobs[number]
        idle, node, slot = heapq.heappop(free)
        outcome = _outcome(dice, job.sort, attempt)
        started = max(idle, since) + dice.uniform(0.002, 0.01)
        made = _attempt(dice, job, f"1-{len(found) + 1}", f"node-{node + 1}", started, attempt, outcome)
        found.append(made)
        end = started + made.wall
        heapq.heappush(free, (end, node, slot))
        if outcome != "done":
            heapq.heappush(ready, (end, number, attempt + 1))
            continue
        for follower in after.get(job.id, ()):
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, (end, follower, 1))
    return found


def _outcome(dice: random.Random, sort: Sort, attempt: int) -> str:
    for reason, share in sort.fails if attempt < 3 else ():
        if dice.random() < share:
            return reason
    return "done"


def _attempt(dice: random.Random, job: Planned, request: str, node: str, started: float, attempt: int, outcome: str) -> Attempt:
    sort = job.sort
    wall = sort.wall * dice.lognormvariate(0, 0.35) * (1.0 if outcome == "done" else dice.uniform(0.1, 0.9))
    asked = sort.memory * (2 if attempt > 1 and sort is SORT else 1)
    memory = asked if outcome == "out of memory" else min(asked, int(sort.peak * dice.lognormvariate(0, 0.1)))
    cpu = wall * min(sort.busy * dice.lognormvariate(0, 0.15), sort.cores * 1.05)
    log = f"logs/{job.id}/{request}" if outcome in ("failed", "out of memory") else ""
    return Attempt(
        job.id, sort.name, request, node, attempt, outcome, started, wall, cpu, memory, memory // 3, memory // 2, memory // 4,
        sort.cores, asked, 2 * GIB, False, log, job.child_of, job.follows, job.needs,
    )  # fmt: skip


def status(attempts: Sequence[Attempt], *, failures: Sequence[FailedJob] = (), complete: bool = True) -> Status:
    """What the store would say of the workflow afterwards."""
    names = {attempt.job: attempt.name for attempt in attempts}
    kinds = []
    for name in dict.fromkeys(names.values()):
        mine = [attempt for attempt in attempts if attempt.name == name]
        total = sum(other == name for other in names.values())
        gone = sum(failure.final and failure.name == name for failure in failures)
        wall, cpu, memory = sum(a.wall for a in mine), sum(a.cpu for a in mine), max(a.memory for a in mine)
        kinds.append(KindStatus(name, total, total - gone, gone, cpu, wall, memory))
    final = sum(failure.final for failure in failures)
    return Status(
        LOCATOR, "c0ffee00c0ffee00", "variants.py", START - 1, "0.1.0", "/home/me/variants.py", complete, len(names), len(names) - final, final,
        0, LeaderStatus("stopped", 1, "bench", 4711, START - 1), tuple(kinds), tuple(failures),
    )  # fmt: skip


def small() -> list[Attempt]:
    """Ten jobs on a laptop of four slots."""
    return run(planned(10), nodes=1, slots=4, seed=3)


def middle() -> list[Attempt]:
    """10,000 jobs on four nodes of eight slots."""
    return run(planned(10_000), nodes=4, slots=8)


def large() -> list[Attempt]:
    """100,000 jobs on forty nodes of sixteen slots."""
    return run(planned(100_000), nodes=40, slots=16)
