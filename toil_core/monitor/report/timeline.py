"""When every attempt ran, where, and with what outcome, in the little room that a page has for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from toil_core.monitor.report.columns import Packed, pack
from toil_core.monitor.report.lanes import lanes
from toil_core.monitor.report.rows import Rows, picked

_TICKS = 100_000
"""Of a second; times in the timeline are whole numbers of them."""


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


def timeline(rows: Rows, timed: Sequence[int], names: Sequence[str]) -> Timeline:
    """The timeline.

    Args:
        rows: All attempts.
        timed: Those whose start is known, by it.
        names: Of kinds, as they are to be numbered.
    """
    kinds = _places(map(rows.names.number, names))
    nodes = _places(sorted(set(picked(rows.node, timed)), key=lambda number: _natural(rows.nodes.entries[number])))
    outcomes = _places([0, *picked(rows.outcome, timed)])
    requests = _places(picked(rows.request, timed))
    first = rows.started[timed[0]] if timed else 0.0
    lane, made = lanes((nodes[node], start, end) for node, start, end in rows.spans(timed))
    columns: dict[str, Iterable[int]] = {
        "start": (round((started - first) * _TICKS) for started in picked(rows.started, timed)),
        "wall": (round(wall * _TICKS) for wall in picked(rows.wall, timed)),
        "cpu": (round(cpu * _TICKS) for cpu in picked(rows.cpu, timed)),
        "memory": (memory >> 10 for memory in picked(rows.memory, timed)),
        "kind": map(kinds.__getitem__, picked(rows.name, timed)),
        "node": map(nodes.__getitem__, picked(rows.node, timed)),
        "lane": lane,
        "outcome": map(outcomes.__getitem__, picked(rows.outcome, timed)),
        "request": map(requests.__getitem__, picked(rows.request, timed)),
        "attempt": picked(rows.attempt, timed),
    }
    packed = pack(columns, [rows.job[row] for row in timed], growing=("start",))
    return Timeline(
        _TICKS, tuple(names), tuple(rows.nodes.entries[number] for number in nodes), tuple(made),
        tuple(rows.outcomes.entries[number] for number in outcomes), tuple(rows.requests.entries[number] for number in requests),
        len(rows) - len(timed), packed,
    )  # fmt: skip


def _places(numbers: Iterable[int]) -> dict[int, int]:
    """Of each number the place at which it came first."""
    return {number: place for place, number in enumerate(dict.fromkeys(numbers))}


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts `node-2` before `node-10`."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", name)]
