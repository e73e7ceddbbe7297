"""The graph of a run by the names of its jobs: who makes, precedes and feeds whom, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.leader.state import FOLLOWING
from toil_core.monitor.report.layout import Drawing, layered

MOST = 200
"""Graphs with more names than that are not drawn: nobody could read them."""
_GROUPS = 10_000
"""Siblings are counted together; no more groups of them than that are held."""
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


class Relations:
    """Takes in jobs, and tells who makes, precedes and feeds whom.

    Args:
        names: Of each job that was attempted its name; it may grow until `found` is asked.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._groups: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
        self._pairs: Counter[tuple[str, str, str]] = Counter()
        self._unknown: Counter[tuple[str, str, str]] = Counter()

    def add(self, attempt: Attempt) -> None:
        """Take in a job by one of its attempts."""
        self._add(attempt.name, attempt.child_of, attempt.follows, attempt.needs)

    def found(self, graph: Graph | None = None) -> list[Edge]:
        """The relations between names.

        Args:
            graph: The graph as it is, for jobs that have not run yet.
        """
        if graph is not None:
            self._add_waiting(graph)
        self._resolve()
        for (job, name, how), many in self._unknown.items():
            source = self._names.get(job)
            if source is None and graph is not None and job in graph.jobs:
                source = graph.jobs[job].kind.name
            if source is not None:
                self._pairs[source, name, how] += many
        return [Edge(*pair, many) for pair, many in self._pairs.items()]

    def _add(self, name: str, child_of: tuple[str, ...], follows: tuple[str, ...], needs: tuple[str, ...]) -> None:
        groups = self._groups
        if child_of:
            groups["child", name, child_of] += 1
        if follows:
            groups["follow-on", name, follows] += 1
        if needs:
            groups["value", name, needs] += 1
        if len(groups) >= _GROUPS:
            self._resolve()

    def _add_waiting(self, graph: Graph) -> None:
        following = {(above.id, below.id) for above in graph.jobs.values() for below in above.follow_ons}
        for job in graph.jobs.values():
            if job.ran or job.id in self._names:
                continue
            follows = tuple(above.id for above in job.above if above.stage is FOLLOWING or (above.id, job.id) in following)
            children = tuple(above.id for above in job.above if above.id not in follows)
            self._add(job.kind.name, children, follows, tuple(need.id for need in job.needs))

    def _resolve(self) -> None:
        """Count what was taken in by names; what speaks of jobs that were not seen yet waits."""
        for (how, name, before), many in self._groups.items():
            for job in before:
                source = self._names.get(job)
                if source is None:
                    self._unknown[job, name, how] += many
                else:
                    self._pairs[source, name, how] += many
        self._groups.clear()


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
