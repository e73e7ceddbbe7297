"""The graph of a run by the names of its jobs: who makes, precedes and feeds whom, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.leader.state import FOLLOWING
from toil_core.monitor.report.layout import Drawing, layered

MOST = 200
"""Graphs with more names than that are not drawn: nobody could read them."""
_LETTER, _SMALL_LETTER, _PADDING, _HEIGHT, _LONGEST = 7.6, 6.7, 26.0, 46.0, 30


class Edge(msgspec.Struct, frozen=True):
    """Jobs of one name stand in a relation to jobs of another.

    Args:
        source: The name of those that come first.
        target: The name of those that come after.
        how: `child`, `follow-on`, or `value` when the second is given what the first returned.
        count: How many pairs of jobs.
    """

    source: str
    target: str
    how: str
    count: int


class Box(msgspec.Struct, frozen=True):
    """A name in the graph.

    Args:
        name: The name.
        label: The name, shortened in its middle when it is long.
        jobs: How many jobs.
    """

    name: str
    label: str
    jobs: int


class Picture(msgspec.Struct, frozen=True):
    """The graph and two ways to draw it.

    Args:
        boxes: The names.
        edges: The relations.
        right: Drawn from left to right.
        down: Drawn from top to bottom.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    right: Drawing
    down: Drawing


def edges(attempts: Iterable[Attempt], graph: Graph | None = None) -> list[Edge]:
    """Who makes, precedes and feeds whom.

    Args:
        attempts: The attempts that ended.
        graph: The graph as it is, for jobs that have not run yet.
    """
    known = {attempt.job: attempt for attempt in attempts}
    names = {job: attempt.name for job, attempt in known.items()}
    groups: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for attempt in known.values():
        name = attempt.name
        if attempt.child_of:
            groups["child", name, attempt.child_of] += 1
        if attempt.follows:
            groups["follow-on", name, attempt.follows] += 1
        if attempt.needs:
            groups["value", name, attempt.needs] += 1
    if graph is not None:
        _waiting(graph, names, groups)
    pairs: Counter[tuple[str, str, str]] = Counter()
    for (how, name, before), many in groups.items():
        for job in before:
            if job in names:
                pairs[names[job], name, how] += many
    return [Edge(*pair, many) for pair, many in pairs.items()]


def _waiting(graph: Graph, names: dict[str, str], groups: Counter[tuple[str, str, tuple[str, ...]]]) -> None:
    waiting = [job for job in graph.jobs.values() if job.id not in names and not job.ran]
    following = {(above.id, below.id) for above in graph.jobs.values() for below in above.follow_ons}
    names.update((job.id, job.kind.name) for job in graph.jobs.values())
    for job in waiting:
        follows = tuple(above.id for above in job.above if above.stage is FOLLOWING or (above.id, job.id) in following)
        children = tuple(above.id for above in job.above if above.id not in follows)
        for how, before in (("child", children), ("follow-on", follows), ("value", tuple(need.id for need in job.needs))):
            if before:
                groups[how, job.kind.name, before] += 1


def picture(jobs: Mapping[str, int], edges: Sequence[Edge]) -> Picture | None:
    """The graph, laid out; None when there are too many names to draw.

    Args:
        jobs: How many jobs there are of each name.
        edges: The relations between the names.
    """
    if len(jobs) > MOST:
        return None
    boxes = tuple(Box(name, _shortened(name), many) for name, many in jobs.items())
    lines = {box.name: len(f"{box.jobs:,} of {box.jobs:,} jobs") for box in boxes}
    sizes = {box.name: (_PADDING + max(_LETTER * len(box.label), _SMALL_LETTER * lines[box.name]), _HEIGHT) for box in boxes}
    known = [edge for edge in edges if edge.source in sizes and edge.target in sizes]
    pairs = list(dict.fromkeys((edge.source, edge.target) for edge in known))
    return Picture(boxes, tuple(known), layered(sizes, pairs, down=False), layered(sizes, pairs, down=True))


def _shortened(name: str) -> str:
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"
