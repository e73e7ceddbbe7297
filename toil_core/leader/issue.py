"""Which ready jobs go out next, and how many in one request. Pure.

Jobs that last long travel alone, so that the batch system can pack them; jobs known to be
tiny travel in batches of about a tenth of a second, so that a thousand of them cost a few
writes, yet never in batches so large that a slot would stand idle at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from toil_core.batch_system import Requirement
from toil_core.leader.state import ISSUED, READY, JobState
from toil_core.wire import keys
from toil_core.wire.jobs import Kind


@dataclass(frozen=True, slots=True)
class Sizing:
    """What is known of the batch system.

    Args:
        slots: How many cores it has in all; None when unknown or growing.
        backlog: How many requests it likes to hold, and of those for which services run as many again.
        target: Seconds that a batch of tiny jobs should last.
        most: The most jobs in one request.
        overhead: Seconds that an isolated job costs beside its own wall time.
        apart: Whether local jobs run elsewhere than all others.
    """

    slots: float | None = None
    backlog: int = 200
    target: float = 0.1
    most: int = 1000
    overhead: float = 0.0012
    apart: bool = False


class _Queue:
    """The ready jobs of one kind, how many requests of the kind are open, and how many fit at a time by the sizing given."""

    __slots__ = ("alone", "flying", "jobs", "kind", "sizing", "slots")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.jobs: deque[JobState] = deque()
        self.alone: deque[JobState] = deque()
        self.flying = 0
        self.sizing: Sizing | None = None
        self.slots = 0


class _Lane:
    """Ready jobs that wait behind nobody of another lane, by kind, and how many of their requests are open."""

    __slots__ = ("flying", "queues", "waiting")

    def __init__(self) -> None:
        self.queues: dict[int, _Queue] = {}  # by identity, which is much quicker than by value; equal kinds are one object
        self.waiting: deque[_Queue] = deque()
        self.flying = 0

    def push(self, job: JobState) -> None:
        """Take a job. One that failed before travels alone."""
        queue = self.queues.get(id(job.kind)) or self._queue(job.kind)
        if not (queue.jobs or queue.alone):
            self.waiting.append(queue)
        (queue.alone if job.tries or job.losses else queue.jobs).append(job)

    def landed(self, kind: Kind) -> None:
        """A request of the kind is over."""
        self.flying -= 1
        queue = self.queues.get(id(kind)) or self._queue(kind)
        queue.flying -= 1
        if not (queue.flying or queue.jobs or queue.alone):
            del self.queues[id(kind)]

    def _queue(self, kind: Kind) -> _Queue:
        queue = self.queues[id(kind)] = _Queue(kind)
        return queue


class Issuer:
    """Holds the ready jobs and hands them out in requests.

    Jobs for which services run have a lane of their own: they go before others, and others that
    find no room beside those services, however many they are, do not keep them from going out.

    Args:
        epoch: The leader's epoch; it is part of every request's id.
        sizing: What is known of the batch system.
    """

    def __init__(self, epoch: int, sizing: Sizing) -> None:
        self.epoch = epoch
        self.sequence = 0
        self.sizing = sizing
        self._paces: dict[str, float] = {}
        self._served, self._others = self._lanes = _Lane(), _Lane()
        self._for_served: set[str] = set()
        self.gate: Callable[[JobState], bool] | None = None
        """Puts a job aside that must not go out now, and says whether it did."""
        self.first: Callable[[JobState], bool] | None = None
        """Whether services run for a job."""

    def push(self, job: JobState) -> None:
        """Take a ready job."""
        (self._served if self.first is not None and self.first(job) else self._others).push(job)

    def request(self) -> str:
        """The id of the next request."""
        self.sequence += 1
        return keys.request(self.epoch, self.sequence)

    def landed(self, request: str, kind: Kind) -> None:
        """A request, of the kind, is over."""
        if request in self._for_served:
            self._for_served.remove(request)
            self._served.landed(kind)
        else:
            self._others.landed(kind)

    def learn(self, kind: Kind, seconds: float) -> None:
        """A job of the kind lasted that long."""
        pace = self._paces.get(kind.name)
        self._paces[kind.name] = seconds if pace is None else 0.7 * pace + 0.3 * seconds

    def take(self) -> list[tuple[str, Kind, list[JobState]]]:
        """The requests to send now: id, kind and jobs of each."""
        found: list[tuple[str, Kind, list[JobState]]] = []
        if self._served.waiting:
            self._take(self._served, found)
            self._for_served.update(id for id, _, _ in found)
        if self._others.waiting:
            self._take(self._others, found)
        return found

    def waiting(self) -> int:
        """How many jobs are held here; a few of them may have gone on in their predecessors' requests."""
        return sum(len(queue.alone) + len(queue.jobs) for lane in self._lanes for queue in lane.waiting)

    def ready(self) -> Iterator[JobState]:
        """Every job that is held here."""
        for lane in self._lanes:
            for queue in lane.waiting:
                yield from (job for job in (*queue.alone, *queue.jobs) if job.stage is READY)

    def _take(self, lane: _Lane, found: list[tuple[str, Kind, list[JobState]]]) -> None:
        waiting, backlog, idle = lane.waiting, self.sizing.backlog, 0
        while waiting and lane.flying < backlog and idle < len(waiting):
            queue = waiting.popleft()
            jobs = self._batch(queue) if not queue.flying or queue.flying < self._limit(queue) else []
            left = queue.jobs or queue.alone
            if left:
                waiting.append(queue)
            if jobs:
                idle = 0
                queue.flying += 1
                lane.flying += 1
                found.append((self.request(), queue.kind, jobs))
            elif left:
                idle += 1
            elif not queue.flying:
                del lane.queues[id(queue.kind)]

    def _batch(self, queue: _Queue) -> list[JobState]:
        if queue.alone:
            jobs = _pop(queue.alone, 1, queue.kind, self.gate)
            if jobs:
                return jobs
        return _pop(queue.jobs, self._size(queue), queue.kind, self.gate)

    def _limit(self, queue: _Queue) -> int:
        if self.sizing.slots is None or self._paces.get(queue.kind.name, 0.0) >= 0.5:
            return self.sizing.backlog
        return min(self.sizing.backlog, 3 * self._slots(queue))

    def _size(self, queue: _Queue) -> int:
        fair = -(-len(queue.jobs) // (2 * self._slots(queue)))
        if fair == 1 or (pace := self._paces.get(queue.kind.name)) is None:
            return 1
        each = pace + (self.sizing.overhead if queue.kind.isolated else 0.0)
        return max(1, min(self.sizing.most, int(self.sizing.target / max(each, 1e-6)), fair))

    def _slots(self, queue: _Queue) -> int:
        if queue.sizing is not self.sizing:
            queue.sizing = self.sizing
            slots = 8.0 if self.sizing.slots is None else self.sizing.slots
            queue.slots = max(1, int(slots / max(queue.kind.requirement.cores, 0.01)))
        return queue.slots


def _pop(jobs: deque[JobState], most: int, kind: Kind, gate: Callable[[JobState], bool] | None) -> list[JobState]:
    batch: list[JobState] = []
    while jobs and len(batch) < most:
        job = jobs.popleft()
        if job.stage is not READY or job.kind is not kind:  # it went on in its predecessor's request, or failed there and needs more
            continue
        if gate is None or not gate(job):
            job.stage = ISSUED
            batch.append(job)
    return batch


def batch_requirement(kind: Kind, jobs: int) -> Requirement:
    """What a request of so many jobs of the kind, one after another, needs."""
    needed = kind.requirement
    if needed.wall_time is None or jobs == 1:
        return needed
    return replace(needed, wall_time=needed.wall_time * jobs)
