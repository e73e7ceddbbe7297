"""Which jobs ran beside each other, and how many at once."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from toil_core.monitor.report.rows import ordered

TOLERANCE = 0.002
"""Seconds by which a job may seem to start before the one whose place it takes: two clocks measured them."""


def lanes(spans: Iterable[tuple[int, float, float]]) -> tuple[list[int], list[int]]:
    """Give each span the lowest lane of its node that is free.

    Args:
        spans: Node, start and end of each, by start; nodes are numbered from 0.

    Returns:
        The lane of each span, from 0 on each node, and how many lanes each node has.
    """
    free: list[list[int]] = []
    busy: list[list[tuple[float, int]]] = []
    made: list[int] = []
    found = []
    for node, start, end in spans:
        while len(free) <= node:
            free.append([])
            busy.append([])
            made.append(0)
        ends, idle = busy[node], free[node]
        while ends and ends[0][0] <= start + TOLERANCE:
            heapq.heappush(idle, heapq.heappop(ends)[1])
        if idle:
            lane = heapq.heappop(idle)
        else:
            lane = made[node]
            made[node] += 1
        heapq.heappush(ends, (end, lane))
        found.append(lane)
    return found, made


class Crowd(NamedTuple):
    """How many spans there were beside each other.

    Args:
        peak: How many at the busiest moment.
        busy: Seconds in which there was any.
        alone: Seconds for which a span was the only one, by its place among the spans.
    """

    peak: int
    busy: float
    alone: dict[int, float]


def crowd(spans: Iterable[tuple[int, float, float]]) -> Crowd:
    """Follow how many spans there are at a time.

    Args:
        spans: Node, start and end of each.
    """
    begins, ends = array("d"), array("d")
    for _, start, end in spans:
        begins.append(start + min(TOLERANCE, (end - start) / 2))
        ends.append(end)
    active: set[int] = set()
    peak, busy, last = 0, 0.0, 0.0
    alone: dict[int, float] = {}
    for when, starts, number in _steps(begins, ends):
        if active:
            busy += when - last
            if len(active) == 1:
                only = next(iter(active))
                alone[only] = alone.get(only, 0.0) + when - last
        last = when
        if starts and ends[number] > when:  # else it took no time at all
            active.add(number)
            peak = max(peak, len(active))
        else:
            active.discard(number)
    return Crowd(peak, busy, alone)


def _steps(begins: array[float], ends: array[float]) -> Iterator[tuple[float, bool, int]]:
    """When which span begins or ends; of one moment, ends come before starts."""
    starting, place = ordered(range(len(begins)), begins), 0
    for ending in ordered(range(len(ends)), ends):
        while place < len(starting) and begins[starting[place]] < ends[ending]:
            yield begins[starting[place]], True, starting[place]
            place += 1
        yield ends[ending], False, ending
