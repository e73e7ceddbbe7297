"""Between the graph and its services: what their commits mean, when jobs wait for them, and when nothing can go on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toil_core.leader import deadlock
from toil_core.leader.growth import keep_value
from toil_core.leader.moves import Command, Done, Finish, Said, Up
from toil_core.leader.services import Limits, Services
from toil_core.leader.state import CHILDREN, DONE, WAITING, JobState, OpenRequest

if TYPE_CHECKING:
    from toil_core.batch_system import Usage
    from toil_core.leader.graph import Graph
    from toil_core.leader.moves import Committed
    from toil_core.wire.commits import Entry
    from toil_core.wire.jobs import Failure

_WARNING = 30


class Serving:
    """What a graph does for its services, and they for it.

    Args:
        graph: The graph.
        limits: What bounds services.
    """

    def __init__(self, graph: Graph, limits: Limits) -> None:
        self.services = Services(self, limits)
        self._graph = graph
        self._deadlock = deadlock.Watch(limits)
        self._why = ""

    def told(self, request: OpenRequest, job: JobState, entry: Entry, event: Committed) -> None:
        """Take in what a service's commit says: that it is up, or how it ended."""
        graph, result = self._graph, entry.result
        for level, text in result.messages:
            graph.tell(Said(job.id, job.kind.name, level, text))
        if result.failure is not None or event.commit.final:
            graph.past.committed(job, event.commit.request, request.node, result, entry.usage)
            self.services.told_end(job, result.failure, entry.usage)
            return
        request.jobs[job.id] = job
        request.started = request.started or event.now
        graph.failures.pop(job.id, None)
        graph.unref(job.value)
        job.value = None
        job.stage = CHILDREN
        if job.holders:
            keep_value(graph, job, result, event.key, event.start + entry.base, event.payload, entry.base)
        graph.resolved(job)
        graph.tell(Up(job.id, job.kind.name))
        self.services.up(job)

    # What services ask for

    def tell(self, command: Command) -> None:
        """Pass the command on."""
        self._graph.tell(command)

    def ready(self, job: JobState) -> None:
        """The job may be issued."""
        self._graph.ready(job)

    def below_ended(self, job: JobState) -> None:
        """One of those that the job waits for is done."""
        self._graph.below_ended(job)

    def attempt_failed(self, job: JobState, failure: Failure, usage: Usage | None, now: float) -> None:
        """Decide what becomes of the job."""
        self._graph.attempt_failed(job, failure, usage, now)

    def retire(self, job: JobState, usage: Usage, *, dropped: bool) -> None:
        """The service's job is done for good."""
        graph = self._graph
        job.stage = DONE
        graph.failed.pop(job.id, None)
        graph.failures.pop(job.id, None)
        if not dropped:
            graph.redo.service_over(job)
            graph.tally(job.kind.name).add(usage)
            graph.tell(Done(job.id, job.kind.name, usage))
        graph.drop_body(job)
        if not job.holders:
            graph.unref(job.value)
            job.value = None
            graph.forget(job)

    def gate_changed(self) -> None:
        """Whether jobs have to wait for services may be different now."""
        issuer = self._graph.issuer
        issuer.gate = self.services.gate if self.services.lacking else None
        issuer.first = self.services.served if self.services.crews else None

    # When nothing can go on

    @property
    def look_at(self) -> float | None:
        """When to look again whether only services run."""
        return self._deadlock.at

    @property
    def watched(self) -> bool:
        """Whether services run, or did when this was last looked at."""
        return bool(self.services.requests) or self._deadlock.at is not None

    def look(self, now: float, *, moved: bool) -> None:
        """Look whether only services run, and have for long enough.

        Args:
            now: Seconds since 1970.
            moved: Whether anything but time passing happened.
        """
        graph = self._graph
        others = [request for request in graph.requests.values() if not (request.kind.service and request.started)]
        if not others or graph.stopping or not self.services.requests:
            self._deadlock.idle()
            return
        before = self._deadlock.at
        if self._deadlock.look(now, moved=moved, running=any(request.started for request in others)):
            self._judge(others)
        if self._deadlock.at != before:
            graph.wake()

    def _judge(self, others: Iterable[OpenRequest]) -> None:
        graph, limits = self._graph, self.services.limits
        waiting = [(request.kind, next(iter(request.jobs.values())), len(request.jobs)) for request in others if request.jobs]
        running = [service for id, service in self.services.requests.items() if graph.requests[id].started]
        why = deadlock.for_want_of_room(running, waiting, limits.room) if running else ""
        if why and limits.room is not None:
            self._why = why
            graph.stop()
        elif why and not self._deadlock.told:
            self._deadlock.told = True
            graph.tell(Said(waiting[0][1].id, waiting[0][0].name, _WARNING, why))

    def end(self) -> Finish | None:
        """How the run ends, when nothing but services runs and nothing will happen any more; services that run for nobody are stopped first."""
        graph, services = self._graph, self.services
        ending = graph.stopping or graph.complete
        if not ending and (services.moving or graph.delayed or any(True for _ in graph.issuer.ready())):
            return None
        if services.queued and not graph.stopping and not self._why:
            self._why = deadlock.for_want_of_leave(list(services.requests.values()), services.queued, services.limits)
        if graph.requests:
            services.stop_all()
            return None
        if graph.complete:
            return Finish("succeeded")
        failed = bool(graph.failed or self._why)
        if graph.stopping:
            return Finish("failed" if failed else "interrupted", (), self._why)
        stuck = () if failed else tuple(job.id for job in graph.jobs.values() if job.stage is WAITING)
        return Finish("failed", stuck, self._why)
