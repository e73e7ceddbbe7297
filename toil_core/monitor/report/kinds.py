"""What the attempts of each name used of what was requested for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter

import msgspec

from toil_core.leader.history import Attempt
from toil_core.monitor.report.distribution import Distribution, distribution

DONE = "done"
"""The outcome of an attempt that succeeded."""
BRIEF = 0.05
"""Seconds; what an attempt that took less used of a processor is too coarsely measured to be judged."""


class Requested(msgspec.Struct, frozen=True):
    """What was requested of one resource.

    Args:
        usual: What most attempts requested.
        least: The least that one requested.
        most: The most that one requested.
    """

    usual: float
    least: float
    most: float


class Resource(msgspec.Struct, frozen=True):
    """What attempts used of one resource.

    Args:
        used: How much, of those in which it was measured.
        requested: How much they had asked for; None when there is nothing to ask for.
    """

    used: Distribution
    requested: Requested | None = None


class KindUse(msgspec.Struct, frozen=True):
    """All attempts at jobs of one name.

    Args:
        name: The name.
        jobs: How many jobs were attempted.
        attempts: How many attempts ended.
        failed: How many of them did not succeed, by their outcome.
        wall: Seconds each took.
        cores: Cores busy in each, on average; only of attempts of 50 milliseconds and more.
        memory: Bytes at the peak of each, beyond what a worker holds that does nothing.
        enough: The most bytes that an attempt which succeeded held at its peak.
        disk: Bytes of temporary disk at the end of each.
        cpu: Processor seconds in all.
        read: Bytes read in all.
        written: Bytes written in all.
        idle_cores: Seconds times cores that were requested and not used.
        idle_memory: Seconds times bytes that were requested and not used.
        lost: Seconds that went into attempts that did not succeed.
    """

    name: str
    jobs: int
    attempts: int
    failed: Mapping[str, int]
    wall: Resource
    cores: Resource
    memory: Resource
    enough: int
    disk: Resource
    cpu: float
    read: int
    written: int
    idle_cores: float
    idle_memory: float
    lost: float


def kind_uses(attempts: Iterable[Attempt]) -> list[KindUse]:
    """What each kind used, the one that took most time first."""
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.name, []).append(attempt)
    found = [_use(name, group) for name, group in groups.items()]
    return sorted(found, key=lambda kind: -kind.wall.used.total)


def _use(name: str, group: list[Attempt]) -> KindUse:
    timed = [attempt for attempt in group if attempt.wall > 0]
    measured = [attempt for attempt in timed if attempt.cpu > 0]  # what was lost with its node has told nothing
    long = [attempt for attempt in measured if attempt.wall >= BRIEF]
    return KindUse(
        name,
        len({attempt.job for attempt in group}),
        len(group),
        dict(Counter(attempt.outcome for attempt in group if attempt.outcome != DONE).most_common()),
        Resource(distribution([attempt.wall for attempt in timed])),
        Resource(distribution([attempt.cpu / attempt.wall for attempt in long]), _requested(group, "cores")),
        Resource(distribution([attempt.memory for attempt in measured]), _requested(group, "requested_memory")),
        max((attempt.memory for attempt in measured if attempt.outcome == DONE), default=0),
        Resource(distribution([attempt.disk for attempt in measured]), _requested(group, "requested_disk")),
        sum(attempt.cpu for attempt in group),
        sum(attempt.read for attempt in group),
        sum(attempt.written for attempt in group),
        sum(max(0.0, attempt.cores * attempt.wall - attempt.cpu) for attempt in measured),
        sum(max(0, attempt.requested_memory - attempt.memory) * attempt.wall for attempt in measured),
        sum(attempt.wall for attempt in group if attempt.outcome != DONE),
    )


def _requested(group: list[Attempt], field: str) -> Requested:
    counts = Counter(map(attrgetter(field), group))
    return Requested(counts.most_common(1)[0][0], min(counts), max(counts))
