"""What the attempts of each name used of what was requested for them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping

import msgspec

from toil_core.leader.history import Attempt
from toil_core.monitor.report.distribution import Distribution, distribution
from toil_core.monitor.report.rows import DONE

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


class Uses:
    """Takes in attempts, and tells what each kind used.

    Attributes:
        names: Of each job that was attempted its name.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._kinds: dict[str, _Use] = {}

    def add(self, attempt: Attempt) -> bool:
        """Take in one more; whether it is the first of its job."""
        name = attempt.name
        use = self._kinds.get(name)
        if use is None:
            use = self._kinds[name] = _Use()
        use.add(attempt)
        first = attempt.job not in self.names
        if first:
            self.names[attempt.job] = name
            use.jobs += 1
        return first

    def found(self) -> list[KindUse]:
        """What each kind used, the one that took most time first."""
        return sorted((use.told(name) for name, use in self._kinds.items()), key=lambda kind: -kind.wall.used.total)


class _Use:
    """What is kept of the attempts of a name: 8 bytes for each resource of each."""

    def __init__(self) -> None:
        self.jobs = self.attempts = self.enough = self.read = self.written = 0
        self.failed: Counter[str] = Counter()
        self.wall, self.cores, self.memory, self.disk = array("d"), array("d"), array("q"), array("q")
        self.asked_cores: Counter[float] = Counter()
        self.asked_memory: Counter[float] = Counter()
        self.asked_disk: Counter[float] = Counter()
        self.cpu = self.idle_cores = self.idle_memory = self.lost = 0.0

    def add(self, attempt: Attempt) -> None:
        self.attempts += 1
        self.cpu += attempt.cpu
        self.read += attempt.read
        self.written += attempt.written
        self.asked_cores[attempt.cores] += 1
        self.asked_memory[attempt.requested_memory] += 1
        self.asked_disk[attempt.requested_disk] += 1
        if attempt.outcome != DONE:
            self.failed[attempt.outcome] += 1
            self.lost += attempt.wall
        if attempt.wall > 0:
            self.wall.append(attempt.wall)
            if attempt.cpu > 0:  # what was lost with its node has told nothing
                self._measured(attempt)

    def _measured(self, attempt: Attempt) -> None:
        self.memory.append(attempt.memory)
        self.disk.append(attempt.disk)
        self.idle_cores += max(0.0, attempt.cores * attempt.wall - attempt.cpu)
        self.idle_memory += max(0, attempt.requested_memory - attempt.memory) * attempt.wall
        if attempt.wall >= BRIEF:
            self.cores.append(attempt.cpu / attempt.wall)
        if attempt.outcome == DONE:
            self.enough = max(self.enough, attempt.memory)

    def told(self, name: str) -> KindUse:
        return KindUse(
            name, self.jobs, self.attempts, dict(self.failed.most_common()), Resource(distribution(self.wall)),
            Resource(distribution(self.cores), _requested(self.asked_cores)), Resource(distribution(self.memory), _requested(self.asked_memory)),
            self.enough, Resource(distribution(self.disk), _requested(self.asked_disk)), self.cpu, self.read, self.written,
            self.idle_cores, self.idle_memory, self.lost,
        )  # fmt: skip


def _requested(counts: Counter[float]) -> Requested:
    return Requested(counts.most_common(1)[0][0], min(counts), max(counts))
