"""What the jobs of a workflow used, by kind: sums, middles and extremes, and what of their requests went unused."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping

import msgspec

from toil_core.leader.history import Attempt

CATEGORIES: Mapping[str, Callable[[Attempt], float]] = {
    "time": lambda attempt: attempt.wall,
    "clock": lambda attempt: attempt.cpu,
    "wait": lambda attempt: max(0.0, attempt.wall - attempt.cpu),
    "memory": lambda attempt: attempt.memory,
    "disk": lambda attempt: attempt.disk,
}
"""What is told of each kind: seconds, processor seconds, seconds without the processor, bytes at the peak, bytes at the end."""
_HOUR, _GIB = 3600.0, float(1 << 30)


class Spread(msgspec.Struct, frozen=True):
    """How a quantity varies over attempts.

    Args:
        min: The least.
        median: Half of the attempts had less.
        mean: The sum divided by the number.
        max: The greatest.
        total: The sum.
    """

    min: float
    median: float
    mean: float
    max: float
    total: float


class Share(msgspec.Struct, frozen=True):
    """Something that was requested, and how much of it was used.

    Args:
        requested: Requested per attempt, on average weighted by time: cores, or bytes.
        used: Used per attempt: cores on average over time, or the greatest peak in bytes.
        wasted: Core-hours, or GiB-hours, that were requested and not used.
    """

    requested: float
    used: float
    wasted: float


class KindStats(msgspec.Struct, frozen=True):
    """All attempts of one name.

    Args:
        name: The name.
        attempts: How many ended.
        done: How many of them succeeded.
        failed: How many did not.
        categories: For each of `time`, `clock`, `wait`, `memory` and `disk`, how it varies.
        shares: Of `cores`, `memory` and `disk`, what was requested and used.
    """

    name: str
    attempts: int
    done: int
    failed: int
    categories: dict[str, Spread]
    shares: dict[str, Share]


class _Sums:
    """What is kept of the attempts of a name while they are read: 8 bytes for each category of each."""

    def __init__(self) -> None:
        self.done = 0
        self.values = {name: array("d") for name in CATEGORIES}
        self.hours = 0.0
        self.requested = {"cores": 0.0, "memory": 0.0, "disk": 0.0}
        self.wasted = dict.fromkeys(self.requested, 0.0)

    def add(self, attempt: Attempt) -> None:
        self.done += attempt.outcome == "done"
        for name, value in CATEGORIES.items():
            self.values[name].append(value(attempt))
        hours = attempt.wall / _HOUR
        self.hours += hours
        for name, asked, unused in (
            ("cores", attempt.cores, attempt.cores - (attempt.cpu / attempt.wall if attempt.wall else 0.0)),
            ("memory", attempt.requested_memory, attempt.requested_memory - attempt.memory),
            ("disk", attempt.requested_disk, attempt.requested_disk - attempt.disk),
        ):
            self.requested[name] += asked * hours
            self.wasted[name] += max(0.0, unused) * hours

    def told(self, name: str) -> KindStats:
        times = self.values["time"]
        used = {
            "cores": sum(self.values["clock"]) / (self.hours * _HOUR) if self.hours else 0.0,
            "memory": max(self.values["memory"]),
            "disk": max(self.values["disk"]),
        }
        shares = {
            what: Share(self.requested[what] / self.hours if self.hours else 0.0, used[what], self.wasted[what] / (1.0 if what == "cores" else _GIB))
            for what in self.requested
        }
        spreads = {category: _spread(values) for category, values in self.values.items()}
        return KindStats(name, len(times), self.done, len(times) - self.done, spreads, shares)


def stats(attempts: Iterable[Attempt]) -> tuple[list[KindStats], KindStats | None]:
    """What the attempts used, by name, and of all together; None when there are none.

    Args:
        attempts: Every attempt; read once.
    """
    kinds: dict[str, _Sums] = {}
    whole = _Sums()
    for attempt in attempts:
        sums = kinds.get(attempt.name)
        if sums is None:
            sums = kinds[attempt.name] = _Sums()
        sums.add(attempt)
        whole.add(attempt)
    return [sums.told(name) for name, sums in kinds.items()], whole.told("all") if kinds else None


def _spread(values: array[float]) -> Spread:
    ordered = sorted(values)
    count, total = len(ordered), sum(ordered)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Spread(ordered[0], median, total / count, ordered[-1], total)
