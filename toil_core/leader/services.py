"""The services of jobs: which may start, which are up, which are to stop, and who waits for them. Pure.

A job's services start when its body ran, each after its parent service. What is below the job waits
until all of them are up, also when one has to be started again in between. They are asked to stop as
soon as all below the job is done, each before its parent service.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.leader.moves import Command, Interrupt, Said
from toil_core.leader.state import DONE, READY, WAITING, JobState
from toil_core.sizes import cores, count, rounded_size
from toil_core.wire.jobs import Failure, NewJob

_WARNING = 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds services.

    Args:
        services: How many may run at the same time on machines that stay; None for any number.
        preemptible: How many where they can be preempted.
        deadlock_wait: Seconds in which only services run before this counts as a deadlock.
        room: What all requests together can have, where this is known and does not grow.
    """

    services: int | None = None
    preemptible: int | None = None
    deadlock_wait: float = 60.0
    room: Requirement | None = None


class Phase(Enum):
    """Where a service is on its way."""

    IDLE = "idle"
    """It may not start yet, or waits after a failure, or has failed for good."""
    QUEUED = "queued"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    OVER = "over"


IDLE, QUEUED, STARTING, UP, STOPPING, OVER = Phase
_ALIVE = (STARTING, UP, STOPPING)


class Service:
    """One service.

    Attributes:
        job: Its job state; done when the service is not needed any more.
        crew: The services of the same job.
        parent: The one that must be up before it starts.
        children: Those that start after it.
        phase: Where it is.
        known: Whether it was ever up, so that its value is known.
        request: The last request that it went out in; empty when it never did.
        leaving: Whether it is to stop.
        again: Whether it is to start again once it has stopped.
        failure: How its attempt ended, when that was not in good order.
        usage: What its last attempt used.
        dropped: Whether its job was dropped with all below a checkpoint job.
    """

    __slots__ = ("again", "children", "crew", "dropped", "failure", "job", "known", "leaving", "parent", "phase", "request", "usage")

    def __init__(self, job: JobState, crew: Crew, parent: Service | None) -> None:
        self.job = job
        self.crew = crew
        self.parent = parent
        self.children: list[Service] = []
        self.phase = IDLE
        self.known = self.leaving = self.again = self.dropped = False
        self.request = ""
        self.failure: Failure | None = None
        self.usage = Usage()

    @property
    def alone(self) -> bool:
        """Whether nothing that started after it runs."""
        return not any(child.phase in _ALIVE for child in self.children)


class Crew:
    """The services of one job.

    Attributes:
        owner: The job.
        services: Its services, parents before children.
        active: Whether the job's body ran and not all below it is done.
        hold: Whether the job counts them among what is open below it: until each was up once, also when nothing else is there.
        aside: Jobs below it that are ready but for a service that is not up.
    """

    __slots__ = ("active", "aside", "hold", "owner", "services")

    def __init__(self, owner: JobState) -> None:
        self.owner = owner
        self.services: list[Service] = []
        self.active = self.hold = False
        self.aside: list[JobState] = []

    @property
    def complete(self) -> bool:
        """Whether all of them are up."""
        return all(service.phase is UP for service in self.services)


class Stage(Protocol):
    """What services ask of the graph that they are part of."""

    def tell(self, command: Command) -> None:
        """Pass the command on."""

    def ready(self, job: JobState) -> None:
        """The job may be issued."""

    def below_ended(self, job: JobState) -> None:
        """One of those that the job waits for is done."""

    def retire(self, job: JobState, usage: Usage, *, dropped: bool) -> None:
        """The service's job is done for good."""

    def attempt_failed(self, job: JobState, failure: Failure, usage: Usage | None, now: float) -> None:
        """Decide what becomes of the job."""

    def gate_changed(self) -> None:
        """Whether jobs have to wait for services may be different now."""


class Services:
    """All services of a graph.

    Args:
        graph: What they are part of.
        limits: What bounds them.
    """

    def __init__(self, graph: Stage, limits: Limits) -> None:
        self.limits = limits
        self.crews: dict[str, Crew] = {}
        """By the id of the job that they belong to."""
        self.members: dict[str, Service] = {}
        """By the service's own id."""
        self.requests: dict[str, Service] = {}
        """Open requests of services."""
        self._graph = graph
        self._queue: deque[Service] = deque()
        self._ending = False

    # What is known of the graph

    @property
    def starting(self) -> list[str]:
        """The requests of services that are not up yet."""
        return [id for id, service in self.requests.items() if service.phase is STARTING]

    def add(self, owner: JobState, tops: Iterable[str], new: Mapping[str, NewJob], jobs: Mapping[str, JobState]) -> None:
        """Take in services of a job, with those that start after them."""
        crew = self.crews.get(owner.id)
        if crew is None:
            crew = self.crews[owner.id] = Crew(owner)
        stack: list[tuple[str, Service | None]] = [(id, None) for id in tops]
        for id, parent in stack:  # grows while it is walked
            service = self.join(crew, jobs[id], parent)
            stack.extend((child, service) for child in new[id].services)

    def join(self, crew: Crew, job: JobState, parent: Service | None) -> Service:
        """Make a job one of the crew's services."""
        service = self.members[job.id] = Service(job, crew, parent)
        crew.services.append(service)
        if parent is not None:
            parent.children.append(service)
        return service

    def begin(self, owner: JobState) -> None:
        """The job's body ran: its services may start, and it waits until they are up."""
        crew = self.crews[owner.id]
        crew.active = crew.hold = True
        owner.open += 1
        misfit = self._misfit(crew)
        if misfit is not None:
            service, why = misfit
            self._graph.attempt_failed(service.job, Failure(Reason.TOO_BIG, why, retry=False), None, 0.0)
        for service in crew.services:
            self.consider(service)
        self._graph.gate_changed()

    def consider(self, service: Service) -> None:
        """Queue the service when nothing keeps it from starting."""
        job, parent = service.job, service.parent
        if self._ending or service.phase is not IDLE or not service.crew.active or job.pending or job.stage not in (WAITING, READY):
            return
        if parent is None or parent.phase is UP:
            job.stage = READY
            service.phase = QUEUED
            self._queue.append(service)

    def take(self) -> Iterator[Service]:
        """The services to start now, as far as the limits allow."""
        kept: list[Service] = []
        while self._queue:
            service = self._queue.popleft()
            if service.phase is not QUEUED:
                continue
            preemptible = service.job.kind.requirement.preemptible
            most = self.limits.preemptible if preemptible else self.limits.services
            if most is not None and self._count(preemptible) >= most:
                kept.append(service)
                continue
            yield service
        self._queue.extend(kept)

    def adopt(self, request: str, job: JobState) -> None:
        """The request is the service's."""
        service = self.members[job.id]
        self.requests.pop(service.request, None)  # whatever became of it
        if service.again:
            service.leaving = service.again = False
        service.request = request
        service.phase = STOPPING if service.leaving else UP if service.known else STARTING
        self.requests[request] = service

    def issued(self, request: str, service: Service) -> None:
        """The service was sent out."""
        service.request, service.failure, service.usage = request, None, Usage()
        service.phase = STARTING
        self.requests[request] = service

    def up(self, job: JobState) -> None:
        """The service is up, and its value is known."""
        service = self.members[job.id]
        service.known = True
        crew = service.crew
        if service.phase is not STOPPING:
            service.phase = UP
            for child in service.children:
                self.consider(child)
        if crew.complete:
            self._graph.gate_changed()
            aside, crew.aside = crew.aside, []
            for waiting in aside:
                if waiting.stage is READY:
                    self._graph.ready(waiting)
        if crew.hold and all(each.known for each in crew.services):  # not all at once: commits are replayed in the order of their requests
            crew.hold = False
            self._graph.below_ended(crew.owner)

    def told_end(self, job: JobState, failure: Failure | None, usage: Usage) -> None:
        """The service's last commit says how it ended."""
        service = self.members[job.id]
        service.usage = usage
        service.failure = failure or (None if service.leaving else Failure(Reason.FAILED, "the service ended while it was in use"))

    def closed(self, request: str, failure: Failure, now: float, *, told: bool) -> None:
        """The service's request has ended.

        Args:
            request: The request.
            failure: Why, when no commit told how the service ended.
            now: Seconds since 1970.
            told: Whether one did.
        """
        service = self.requests.pop(request)
        failed = service.failure if told else failure
        if service.leaving:
            if failed is not None and (failed.reason is not Reason.CANCELLED or failed.message != failed.reason.value):  # late
                self._graph.tell(
                    Said(service.job.id, service.job.kind.name, _WARNING, f"the service did not stop in good order: {failed.message}")
                )
            self._stopped(service)
        else:
            assert failed is not None
            service.phase = IDLE
            for child in service.children:
                self._recall(child)
            self._graph.gate_changed()
            self._graph.attempt_failed(service.job, failed, service.usage if told else None, now)
        self._stop_leaving(service.crew)

    # The end

    def dismiss(self, owner: str, *, dropped: bool = False) -> None:
        """Nobody needs the job's services any more.

        Args:
            owner: The job's id.
            dropped: Whether it was dropped with all below a checkpoint job.
        """
        crew = self.crews.pop(owner) if dropped else self.crews[owner]
        crew.active = crew.hold = False
        crew.aside.clear()
        for service in list(crew.services):
            service.leaving, service.again = True, False
            service.dropped = dropped
            if service.phase in (IDLE, QUEUED):
                self._retire(service)
        self._stop_leaving(crew)
        self._graph.gate_changed()

    def stop_all(self) -> None:
        """The run ends before the services' users do: the services stop, and start again with the next leader."""
        self._ending = True
        for crew in self.crews.values():
            for service in crew.services:
                if not service.leaving:
                    service.leaving = service.again = True
                if service.phase is QUEUED:
                    service.phase = IDLE
            self._stop_leaving(crew)

    def take_over(self) -> None:
        """A new leader: what ran is gone, and what is needed starts again."""
        self.requests.clear()
        self._queue.clear()
        self._ending = False
        for service in [service for service in self.members.values() if service.dropped]:
            self._retire(service)
        for crew in list(self.crews.values()):
            for service in [service for service in crew.services if service.phase is not OVER]:
                service.phase = IDLE
                service.leaving = service.again = False
                job = service.job
                job.tries = job.losses = 0
                job.stage = WAITING if job.pending else READY
                if crew.owner.stage is DONE:
                    self._retire(service)
                else:
                    self.consider(service)
        self._graph.gate_changed()

    # Who waits

    @property
    def lacking(self) -> bool:
        """Whether a job has services that should be up and are not."""
        return any(crew.active and not crew.complete for crew in self.crews.values())

    @property
    def moving(self) -> bool:
        """Whether a service is about to be up, or about to end."""
        return any(service.phase in (STARTING, STOPPING) for service in self.requests.values())

    @property
    def queued(self) -> list[Service]:
        """Services that wait for others to end, as there may be only so many."""
        return [service for service in self._queue if service.phase is QUEUED]

    def gate(self, job: JobState) -> bool:
        """Put the job aside when it has to wait for a service; whether it has to."""
        for crew in self.above(job):
            if not crew.complete:
                crew.aside.append(job)
                return True
        return False

    def served(self, job: JobState) -> bool:
        """Whether services run for the job."""
        return any(True for _ in self.above(job))

    def above(self, job: JobState) -> Iterator[Crew]:
        """The services that run for the job."""
        seen: set[str] = set()
        stack: list[JobState] = list(job.above)
        while stack:
            upper = stack.pop()
            if upper.id not in seen:
                seen.add(upper.id)
                crew = self.crews.get(upper.id)
                if crew is not None and crew.active:
                    yield crew
                stack.extend(upper.above)

    # Inside

    def _count(self, preemptible: bool) -> int:
        return sum(service.job.kind.requirement.preemptible is preemptible for service in self.requests.values())

    def _misfit(self, crew: Crew) -> tuple[Service, str] | None:
        """The service with which the job's services can never run together, and why."""
        name, limits = crew.owner.kind.name, self.limits
        for preemptible, most, option in (
            (False, limits.services, "--max-service-jobs"),
            (True, limits.preemptible, "--max-preemptible-service-jobs"),
        ):
            same = [service for service in crew.services if service.job.kind.requirement.preemptible is preemptible]
            if most is not None and len(same) > most:
                return same[most], f"job '{name}' has {count(len(same), 'service')} that run at the same time; {option} allows {most}"
        if limits.room is not None and (lack := lacks(limits.room, [service.job.kind.requirement for service in crew.services])):
            return crew.services[-1], f"the services of job '{name}' together need {lack}"
        return None

    def _recall(self, service: Service) -> None:
        """The service's parent failed: start it anew once the parent is up again."""
        if service.phase in (STARTING, UP):
            service.leaving = service.again = True
        elif service.phase is QUEUED:
            service.phase = IDLE
        for child in service.children:
            self._recall(child)

    def _stop_leaving(self, crew: Crew) -> None:
        """Stop those that are to leave and that no other needs."""
        for service in crew.services:
            if service.leaving and service.phase in (STARTING, UP) and service.alone:
                service.phase = STOPPING
                self._graph.tell(Interrupt((service.request,)))

    def _stopped(self, service: Service) -> None:
        if not service.again:
            self._retire(service)
            return
        service.phase = IDLE
        service.leaving = service.again = False
        service.job.stage = READY
        self.consider(service)

    def _retire(self, service: Service) -> None:
        service.phase = OVER
        del self.members[service.job.id]
        self._graph.retire(service.job, service.usage, dropped=service.dropped)
        owner = service.crew.owner.id
        if self.crews.get(owner) is service.crew and all(each.phase is OVER for each in service.crew.services):
            del self.crews[owner]


def lacks(room: Requirement, needed: Sequence[Requirement]) -> str:
    """What there is too little of for all of these at the same time, in words; empty when they fit."""
    for what in ("cores", "memory", "disk"):
        asked, there = sum(getattr(each, what) for each in needed), getattr(room, what)
        if asked > there * (1 + 1e-9):
            if what == "cores":
                return f"{cores(asked)}; there are {there:g}"
            return f"{rounded_size(asked)} of {what}; there are {rounded_size(there)}"
    return ""
