"""What the author of a workflow could change, each in a sentence with its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from toil_core.batch_system import Reason
from toil_core.monitor.report.kinds import KindUse
from toil_core.monitor.text import about, span
from toil_core.sizes import cores, count

ENOUGH = 3
"""Fewer attempts than that tell nothing about the next."""
HEADROOM = 1.25
"""What to ask for, of the most that was used."""
WORTH = 0.02
"""A change is worth a sentence from this share of all that was requested, times how long, on."""
_LEAST_MEMORY, _LEAST_DISK = 32 << 20, 64 << 20
_MANY = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ROUND = (
    1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 50, 60, 64, 80, 96, 100, 128, 150, 192, 200, 256, 300, 384, 400, 500, 512, 600, 640, 700, 768,
    800, 900, 1000,
)  # fmt: skip
_LOST = (Reason.NODE_LOST.value, Reason.PREEMPTED.value)


class Advice(msgspec.Struct, frozen=True):
    """One thing to change.

    Args:
        kind: The name of the jobs that it is about; empty when it is about the whole.
        about: The resource: `memory`, `cores`, `disk`, `time` or `failures`.
        text: What is seen and what to do about it.
        weight: What share of the whole it is about, from 0 to 1: advice of more weight comes first.
    """

    kind: str
    about: str
    text: str
    weight: float


def advice(kinds: Sequence[KindUse], elapsed: float, alone: Sequence[tuple[str, str, float]]) -> list[Advice]:
    """What to change, what matters most first.

    Args:
        kinds: What each kind used.
        elapsed: Seconds from the start of the first attempt to the end of the last.
        alone: Id and name of jobs that ran with no other beside them, and for how many seconds.
    """
    found = [*_memory(kinds), *_cores(kinds), *_disk(kinds), *_failures(kinds), *_brief(kinds), *_alone(elapsed, alone)]
    return sorted(found, key=lambda item: -item.weight)


def incomplete(damage: str) -> Advice:
    """That some attempts are not shown, since what told of them is damaged."""
    return Advice("", "failures", f"Some attempts are not shown here: {damage}. The job store's disk may be failing: look at it before you go on.", 1.0)


def _memory(kinds: Sequence[KindUse]) -> Iterator[Advice]:
    whole = _whole(kinds, lambda kind: kind.memory.requested.usual if kind.memory.requested else 0)
    for kind in kinds:
        used, asked = kind.memory.used, kind.memory.requested
        short = kind.failed.get(Reason.OUT_OF_MEMORY.value, 0)
        if asked is None:
            continue
        if short:
            better = rounded_up(max(kind.enough, asked.least) * HEADROOM)
            enough = f"; the most that one used which succeeded was {about(kind.enough)}" if kind.enough else ""
            yield Advice(
                kind.name,
                "memory",
                f"{kind.name} ran out of memory in {short:,} of {count(kind.attempts, 'attempt')}, at requests from {_size(asked.least)}"
                f" on{enough}: ask for {_size(better)}.",
                max(WORTH, kind.lost / max(1e-9, sum(each.wall.used.total for each in kinds))),
            )
            continue
        better = rounded_up(max(used.most * HEADROOM, _LEAST_MEMORY))
        weight = kind.idle_memory / whole
        if used.count >= ENOUGH and better * 1.5 <= asked.usual and weight >= WORTH:
            yield Advice(
                kind.name,
                "memory",
                f"{kind.name} asked for {_size(asked.usual)} of memory and used at most {_used_memory(used.most)}:"
                f" ask for {_size(better)}, and {_times(asked.usual / better)} fit into the same memory.",
                weight,
            )


def _cores(kinds: Sequence[KindUse]) -> Iterator[Advice]:
    whole = _whole(kinds, lambda kind: kind.cores.requested.usual if kind.cores.requested else 0)
    for kind in kinds:
        used, asked = kind.cores.used, kind.cores.requested
        if asked is None or used.count < max(ENOUGH, kind.attempts / 2):
            continue
        if used.high > asked.usual * 1.5 and used.high - asked.usual > 0.5:
            yield Advice(
                kind.name,
                "cores",
                f"{kind.name} asked for {cores(asked.usual)} and kept {used.median:.2g} busy in half of its attempts, up to {used.most:.2g}:"
                f" ask for {cores(max(1, math.ceil(used.high - 0.25)))}, or jobs beside it get less than they asked for.",
                kind.cpu / max(1e-9, sum(each.cpu for each in kinds)),
            )
        better = math.ceil(used.most * 10 - 0.05) / 10 if asked.usual <= 1 else math.ceil(used.most - 0.05)
        weight = kind.idle_cores / whole
        if 0 < better <= asked.usual * 0.75 and weight >= WORTH:
            yield Advice(
                kind.name,
                "cores",
                f"{kind.name} asked for {cores(asked.usual)} and kept at most {used.most:.2g} busy, on average over an attempt:"
                f" ask for {cores(better)}, and {_times(asked.usual / better)} fit onto the same cores, if nothing else kept their machines busy.",
                weight,
            )
        elif used.median < asked.usual * 0.3 and used.high < asked.usual * 0.5 and weight >= WORTH:
            yield Advice(
                kind.name,
                "cores",
                f"Half of the attempts at {kind.name} kept {used.median:.2g} or less of {cores(asked.usual)} busy:"
                " they waited for disk, network, each other, or other programs on their machine.",
                weight,
            )


def _disk(kinds: Sequence[KindUse]) -> Iterator[Advice]:
    whole = _whole(kinds, lambda kind: kind.disk.requested.usual if kind.disk.requested else 0)
    for kind in kinds:
        used, asked = kind.disk.used, kind.disk.requested
        if asked is None or used.count < ENOUGH:
            continue
        weight = kind.wall.used.total * asked.usual / whole
        if used.most > asked.most:
            yield Advice(
                kind.name,
                "disk",
                f"{kind.name} left up to {about(used.most)} on the disk and had asked for {_size(asked.most)}: ask for {_size(rounded_up(used.most * HEADROOM))}.",
                max(WORTH, weight),
            )


def _failures(kinds: Sequence[KindUse]) -> Iterator[Advice]:
    total = max(1e-9, sum(kind.wall.used.total for kind in kinds))
    for kind in kinds:
        lost = sum(kind.failed.get(reason, 0) for reason in _LOST)
        own = sum(kind.failed.values()) - lost - kind.failed.get(Reason.OUT_OF_MEMORY.value, 0)
        share = kind.lost / total
        if share < WORTH or kind.lost < 1:
            continue
        if own:
            reasons = ", ".join(f"{reason} {many:,}" for reason, many in kind.failed.items())
            yield Advice(
                kind.name,
                "failures",
                f"{kind.name} spent {span(kind.lost)} ({share:.0%} of all time in jobs) in attempts that did not succeed ({reasons}).",
                share,
            )
        elif lost:
            yield Advice(
                kind.name,
                "failures",
                f"{kind.name} lost {span(kind.lost)} ({share:.0%} of all time in jobs) with {count(lost, 'node')} that went away under it:"
                " shorter jobs lose less.",
                share,
            )


def _brief(kinds: Sequence[KindUse]) -> Iterator[Advice]:
    total = sum(kind.attempts for kind in kinds)
    for kind in kinds:
        used = kind.wall.used
        if used.count >= 1000 and 0 < used.high < 0.05:
            yield Advice(
                kind.name,
                "time",
                f"Three quarters of the {used.count:,} attempts at {kind.name} took less than {_brief_span(used.high)}: let one do the work of many,"
                " or, unless it says so already, declare it with `isolated=False`, so that many share a process.",
                0.5 * kind.attempts / total,
            )


def _alone(elapsed: float, alone: Sequence[tuple[str, str, float]]) -> Iterator[Advice]:
    for job, name, seconds in alone:
        share = seconds / elapsed if elapsed > 0 else 0.0
        if share >= 0.1 and seconds >= 1:
            yield Advice(
                name,
                "time",
                f"For {span(seconds)}, {share:.0%} of the whole time, {name} {job} was the only job that ran:"
                " split it, or let others run without waiting for it.",
                share,
            )


def rounded_up(size: float) -> int:
    """The next size of at least that many bytes that people would write."""
    for unit in (1 << 20, 1 << 30, 1 << 40):
        for rounded in _ROUND:
            if rounded * unit >= size:
                return int(rounded * unit)
    return math.ceil(size / (1 << 40)) << 40


def _size(size: float) -> str:
    return about(size).replace(".0 ", " ")


def _used_memory(size: float) -> str:
    return about(size) if size >= 1 << 20 else "as good as none beyond that of an idle worker"


def _whole(kinds: Sequence[KindUse], asked: Callable[[KindUse], float]) -> float:
    return max(1e-9, sum(kind.wall.used.total * asked(kind) for kind in kinds))


def _times(factor: float) -> str:
    if factor < 2:
        return f"{factor - 1:.0%} more"
    many = math.floor(factor)
    return f"{_MANY[many] if many < len(_MANY) else f'{many:,}'} times as many" if many > 2 else "twice as many"


def _brief_span(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms"
