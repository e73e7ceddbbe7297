"""Whether jobs can run in some order at all, and if not, which wait for one another.

A job runs; then its children and all below them; then its follow-ons and all below them. A
job also waits for the jobs whose values it is given, and for the promises within these
values. Each job has up to three moments here: it has run, all below its children is
complete, all below it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toil_core.errors import GraphError
from toil_core.wire.jobs import NewJob
from toil_core.workflow.job import Job
from toil_core.workflow.service import check_users


def check_order(nodes: Sequence[Job[Any]], jobs: Sequence[NewJob], value_needs: tuple[str, ...] = ()) -> None:
    """Check that every job can run some day. Linear in jobs and edges.

    Args:
        nodes: The jobs as the user made them, for their names; the first one is above all others.
        jobs: The same as records; each job's successors are among them.
        value_needs: Ids of the jobs whose promises the first job's return value holds.

    Raises:
        GraphError: Jobs wait for one another; says which, and why each waits.
    """
    if _is_tree(nodes, jobs):
        return
    check_users(nodes, jobs)
    moments = _Moments(jobs, value_needs)
    stuck = moments.stuck()
    if stuck:
        raise GraphError(f"these jobs wait for one another: {moments.cycle(stuck, [node.name for node in nodes])}")


def _is_tree(nodes: Sequence[Job[Any]], jobs: Sequence[NewJob]) -> bool:
    if nodes[0]._toil_before:
        return False
    return all(not job.needs and len(node._toil_before) < 2 for node, job in zip(nodes, jobs, strict=True))


class _Moments:
    """The graph of moments: each has numbers of those that wait for it, and why."""

    def __init__(self, jobs: Sequence[NewJob], value_needs: tuple[str, ...]) -> None:
        place = {job.id: number for number, job in enumerate(jobs)}
        self._owner = list(range(len(jobs)))
        self._next: list[list[int]] = [[] for _ in jobs]
        complete = [self._complete(number, job) for number, job in enumerate(jobs)]
        for number, job in enumerate(jobs):
            for need in job.needs:
                if need != jobs[0].id:
                    self._next[place[need]].append(number)
                else:
                    self._after_value(number, [place[inner] for inner in value_needs])
            middle, end = complete[number]
            if job.services:
                self._services(number, job, [place[below] for below in (*job.children, *job.follow_ons)], place, jobs)
            for child in job.children:
                self._next[number].append(place[child])
                self._next[complete[place[child]][1]].append(middle)
            for follow_on in job.follow_ons:
                self._next[middle].append(place[follow_on])
                self._next[complete[place[follow_on]][1]].append(end)

    def _services(self, number: int, job: NewJob, below: list[int], place: Mapping[str, int], jobs: Sequence[NewJob]) -> None:
        """The job's services start when it has run, and are up before what is below it runs."""
        stack = [(number, place[id]) for id in job.services]
        for before, service in stack:  # grows while it is walked
            self._next[before].append(service)
            for after in below:
                self._next[service].append(after)
            stack += [(service, place[id]) for id in jobs[service].services]

    def _complete(self, number: int, job: NewJob) -> tuple[int, int]:
        """The moments when all below the children, and all below the job, is complete."""
        middle = self._new(number, number) if job.children else number
        return middle, self._new(number, middle) if job.follow_ons else middle

    def _new(self, owner: int, after: int) -> int:
        self._owner.append(owner)
        self._next.append([])
        self._next[after].append(len(self._next) - 1)
        return len(self._next) - 1

    def _after_value(self, number: int, producers: list[int]) -> None:
        self._next[0].append(number)
        for producer in producers:
            self._next[producer].append(number)

    def stuck(self) -> set[int]:
        """The moments that never come; empty when all do."""
        waits = [0] * len(self._next)
        for followers in self._next:
            for follower in followers:
                waits[follower] += 1
        ready = [moment for moment, count in enumerate(waits) if not count]
        for moment in ready:  # grows while it is walked
            for follower in self._next[moment]:
                waits[follower] -= 1
                if not waits[follower]:
                    ready.append(follower)
        return set(range(len(waits))).difference(ready) if len(ready) < len(waits) else set()

    def cycle(self, stuck: set[int], names: Sequence[str]) -> str:
        """One circle of jobs among the stuck moments."""
        before = {follower: moment for moment in stuck for follower in self._next[moment] if follower in stuck}
        moment, seen = next(iter(before)), set()
        while moment not in seen:
            seen.add(moment)
            moment = before[moment]
        circle, start = [self._owner[moment]], moment
        while before[moment] != start:
            moment = before[moment]
            if self._owner[moment] != circle[-1]:
                circle.append(self._owner[moment])
        if len(circle) > 1 and circle[0] == circle[-1]:
            circle.pop()
        return " → ".join(f"'{names[owner]}'" for owner in [*reversed(circle), circle[-1]])
