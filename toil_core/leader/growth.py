"""Taking in what a commit adds to the graph: jobs with their edges, and values. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toil_core.leader.moves import Added
from toil_core.leader.state import JobState
from toil_core.wire.commits import ref
from toil_core.wire.jobs import Kind, Ref, Result, Span

if TYPE_CHECKING:
    from toil_core.leader.graph import Graph

INLINE = 1024
"""Bodies and values up to this many bytes are kept in memory when they come with a commit."""


def grow(graph: Graph, result: Result, key: str, start: int, payload: bytes | None, base: int = 0) -> None:
    """Take in the result's new jobs.

    Args:
        graph: The graph.
        result: The result.
        key: The commit's key.
        start: Where the result's part of the payload starts in the blob.
        payload: The commit's payload when it is at hand.
        base: Where the result's part starts in the payload.
    """
    kinds = [graph.kind(kind) for kind in result.kinds]
    jobs = graph.jobs
    for item in result.jobs:
        first, last = item.body
        if payload is not None and last - first <= INLINE:
            jobs[item.id] = JobState(item.id, kinds[item.kind], payload[base + first : base + last])
        else:
            jobs[item.id] = JobState(item.id, kinds[item.kind], _refer(graph, item.body, item.crc, key, start))
    names = _names(result, kinds)
    for name, count in names.items():
        graph.tally(name).total += count
    graph.tell(Added(names))
    edges = Edges()
    served = []
    for item in result.jobs:
        job = jobs[item.id]
        if item.children:
            job.children = tuple([jobs[id] for id in item.children])
            edges.add(job, job.children)
        if item.follow_ons:
            job.follow_ons = tuple([jobs[id] for id in item.follow_ons])
            edges.add(job, job.follow_ons)
        if item.needs:
            _needs(jobs, job, item.needs)
        if item.services and not job.kind.service:
            served.append(item)
    edges.close()
    if graph.root is None:
        jobs[result.children[0]].pending += 1
    if served or result.services:
        new = {item.id: item for item in result.jobs}
        for item in served:
            graph.services.add(jobs[item.id], item.services, new, jobs)
        if result.services:
            graph.services.add(jobs[result.job], result.services, new, jobs)


def _names(result: Result, kinds: Sequence[Kind]) -> dict[str, int]:
    """How many new jobs of each name there are."""
    if len(kinds) == 1:  # as most have, and then a count costs more than all else here
        return {kinds[0].name: len(result.jobs)}
    names: dict[str, int] = {}
    for number, count in Counter([item.kind for item in result.jobs]).items():
        name = kinds[number].name
        names[name] = names.get(name, 0) + count
    return names


class Edges:
    """Notes for jobs below others which these are: siblings share one tuple, and one below many is noted once."""

    def __init__(self) -> None:
        self._more: dict[JobState, list[JobState]] = {}

    def add(self, upper: JobState, below: Iterable[JobState]) -> None:
        """These jobs are below the upper one, and wait for it."""
        alone = (upper,)
        for job in below:
            job.pending += 1
            if job.above:
                self._more.setdefault(job, []).append(upper)
            else:
                job.above = alone

    def close(self) -> None:
        """All edges are told."""
        for job, more in self._more.items():
            job.above = (*job.above, *more)


def keep_value(graph: Graph, job: JobState, result: Result, key: str, start: int, payload: bytes | None, base: int) -> None:
    """Keep the value that the job's result speaks of; see `grow`."""
    job.value = _bytes_or_ref(graph, result.value, result.crc, key, start, payload, base)
    if result.value_needs:
        job.value_needs = tuple(graph.jobs[id] for id in result.value_needs if id in graph.jobs)
        for need in job.value_needs:
            need.holders += 1
            if not need.resolved:
                job.unresolved += 1
                if need.value_waiters is None:
                    need.value_waiters = [job]  # a list of one takes less than one that grew
                else:
                    need.value_waiters.append(job)


def _bytes_or_ref(graph: Graph, span: Span, crc: int, key: str, start: int, payload: bytes | None, base: int) -> bytes | Ref:
    if payload is not None and span[1] - span[0] <= INLINE:
        return payload[base + span[0] : base + span[1]]
    return _refer(graph, span, crc, key, start)


def _refer(graph: Graph, span: Span, crc: int, key: str, start: int) -> Ref:
    graph.held[key] += 1
    return ref(key, start, span, crc)


def _needs(jobs: dict[str, JobState], job: JobState, ids: Iterable[str]) -> None:
    needs = job.needs = tuple([jobs[id] for id in ids])
    for need in needs:
        need.holders += 1
        if not need.resolved:
            if need.waiters is None:
                need.waiters = [job]
            else:
                need.waiters.append(job)
            job.pending += 1
