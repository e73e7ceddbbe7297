"""Many numbers told by few: quartiles, extremes and how many lie where."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import msgspec

BINS = 8
"""Bins of a histogram in each doubling."""
SHOWN = 40
"""Up to so many values are kept one by one."""


class Distribution(msgspec.Struct, frozen=True):
    """How numbers are spread; none of them is below 0.

    Args:
        count: How many there are; when there are none all else is 0 or empty.
        least: The smallest.
        low: A quarter of them is not greater.
        median: Half of them are not greater.
        high: Three quarters of them are not greater.
        most: The greatest.
        total: Their sum.
        zeros: How many are 0.
        bins: Bin `b` holds those from `2 ** (b / 8)` up to, but without, `2 ** ((b + 1) / 8)`: pairs of bin and count.
        values: Each of them, when there are at most 40.
    """

    count: int = 0
    least: float = 0.0
    low: float = 0.0
    median: float = 0.0
    high: float = 0.0
    most: float = 0.0
    total: float = 0.0
    zeros: int = 0
    bins: tuple[tuple[int, int], ...] = ()
    values: tuple[float, ...] = ()


def distribution(numbers: Sequence[float]) -> Distribution:
    """Tell how the numbers are spread."""
    if not numbers:
        return Distribution()
    ordered = sorted(numbers)
    zeros = bisect_right(ordered, 0)
    bins = Counter(math.floor(math.log2(number) * BINS) for number in islice(ordered, zeros, None))
    return Distribution(
        len(ordered), ordered[0], quantile(ordered, 0.25), quantile(ordered, 0.5), quantile(ordered, 0.75), ordered[-1],
        math.fsum(ordered), zeros, tuple(sorted(bins.items())), tuple(ordered) if len(ordered) <= SHOWN else (),
    )  # fmt: skip


def quantile(ordered: Sequence[float], share: float) -> float:
    """The number that this share of the numbers does not exceed, between two of them where it falls there.

    Args:
        ordered: At least one number, smallest first.
        share: From 0 to 1.
    """
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
