"""Counts again what the graph keeps count of: how many hold a job's value, what each waits for, what is referred to, what is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from toil_core.leader.graph import Graph
from toil_core.leader.state import CHILDREN, DONE, FOLLOWING, WAITING, JobState
from toil_core.wire.jobs import Ref


def recount(graph: Graph) -> None:
    """All that is counted is what there is.

    Args:
        graph: Between two events, of a leader that has taken over.

    Raises:
        AssertionError: It is not.
    """
    jobs = list(graph.jobs.values())
    _holders(graph, jobs)
    _waits(jobs)
    _open(graph, jobs)
    held = Counter(ref.key for job in jobs for ref in (job.body, job.value) if isinstance(ref, Ref))
    assert held == graph.held, f"referred to: {dict(held)}, counted: {graph.held}"
    assert set(graph.failed) | set(graph.failures) <= set(graph.jobs), "a failure of a job that is not there"
    _under_way(graph)


def _same(what: str, job: JobState, counted: int, there: int) -> None:
    assert counted == there, f"{what} of {job.id}: counted {counted}, there are {there}"


def _holders(graph: Graph, jobs: Iterable[JobState]) -> None:
    asking = Counter(need for job in jobs for need in (*job.needs, *job.value_needs))
    for job in jobs:
        _same("holders", job, job.holders, asking[job] + (job is graph.root))
        assert job.stage is not DONE or job.holders, f"nobody asks for {job.id}, and it is kept"
        left = sum(not need.resolved for need in job.value_needs)
        _same("values that its own promises", job, job.unresolved, left + (job.kind.checkpoint and CHILDREN <= job.stage < DONE))


def _waits(jobs: Iterable[JobState]) -> None:
    told = Counter(after for job in jobs for after in (*job.children, *job.follow_ons, *(job.waiters or ())))
    for job in jobs:
        if job.stage is WAITING:
            _same("what it waits for", job, job.pending, told[job])


def _open(graph: Graph, jobs: Iterable[JobState]) -> None:
    below = Counter(upper for job in jobs if job.stage is not DONE for upper in job.above)
    for job in jobs:
        if job.stage in (CHILDREN, FOLLOWING):
            crew = graph.services.crews.get(job.id)
            _same("what is open below", job, job.open, below[job] - len(job.follow_ons) + (crew is not None and crew.hold))


def _under_way(graph: Graph) -> None:
    """Of each kind as many requests are open as the issuer counts, and it knows no kind of which nothing waits or is open."""
    issuer, apart = graph.issuer, graph.issuer.sizing.apart
    mine = {id: request for id, request in graph.requests.items() if not (request.kind.service or (request.kind.local and apart))}
    assert issuer._for_served <= set(mine)
    for lane, served in zip(issuer._lanes, (True, False), strict=True):
        flying = Counter(request.kind for id, request in mine.items() if (id in issuer._for_served) is served)
        assert lane.flying == flying.total(), f"requests: counted {lane.flying}, there are {flying.total()}"
        assert {queue.kind: queue.flying for queue in lane.queues.values() if queue.flying} == flying
        assert all(queue.flying or queue.jobs or queue.alone for queue in lane.queues.values()), "a kind is known of which there is nothing"
        assert Counter(map(id, lane.waiting)) == Counter(id(queue) for queue in lane.queues.values() if queue.jobs or queue.alone)
