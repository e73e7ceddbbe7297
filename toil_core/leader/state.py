"""What the leader remembers of a job: structure only, in as little memory as will do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum

import msgspec

from toil_core.batch_system import Usage
from toil_core.wire.jobs import Kind, Ref


class Stage(IntEnum):
    """Where a job is on its way."""

    WAITING = 0
    """For predecessors or for values."""
    READY = 1
    DELAYED = 2
    """Ready again after the wait that follows a failed attempt."""
    ISSUED = 3
    """In a request that has not ended."""
    CHILDREN = 4
    """Its body ran; something below its children has not."""
    FOLLOWING = 5
    """Its body and all below its children ran; something below its follow-ons has not."""
    DONE = 6
    FAILED = 7
    """For good, in this run."""


WAITING, READY, DELAYED, ISSUED, CHILDREN, FOLLOWING, DONE, FAILED = Stage


class JobState:
    """One job.

    Attributes:
        id: The job's id.
        kind: Its kind, shared with all jobs of the kind.
        stage: Where it is.
        pending: How many predecessors and values it still waits for.
        open: How many jobs of the current stage (children, then follow-ons) are not done.
        body: Its function and arguments, or where they lie; None once it ran.
        needs: The jobs whose values its body holds promises of; emptied once it ran.
        above: Its predecessors, whatever their kind of edge; they are told when it is done.
        children: Released when its body ran, then emptied.
        follow_ons: Released when all below its children is done, then emptied.
        value: Its return value, or where it lies; None until it ran, or when it is not needed.
        value_needs: The jobs whose promises its value holds.
        unresolved: How many of `value_needs` have no complete value yet.
        holders: How many jobs and values may still ask for its value.
        waiters: Jobs that wait for its complete value.
        value_waiters: Jobs whose values wait for its complete value.
        tries: Attempts used up.
        losses: Attempts lost for reasons that are nobody's fault.
        temporary: Keys of the files to delete when it is forgotten.
        place: Its number in the checkpoint that is being written; not set before the first.
    """

    __slots__ = (
        "above",
        "body",
        "children",
        "follow_ons",
        "holders",
        "id",
        "kind",
        "losses",
        "needs",
        "open",
        "pending",
        "place",
        "stage",
        "temporary",
        "tries",
        "unresolved",
        "value",
        "value_needs",
        "value_waiters",
        "waiters",
    )

    place: int

    def __init__(self, id: str, kind: Kind, body: bytes | Ref | None) -> None:
        self.id = id
        self.kind = kind
        self.stage: Stage = WAITING
        self.pending = 0
        self.open = 0
        self.body = body
        self.needs: tuple[JobState, ...] = ()
        self.above: tuple[JobState, ...] = ()
        self.children: tuple[JobState, ...] = ()
        self.follow_ons: tuple[JobState, ...] = ()
        self.value: bytes | Ref | None = None
        self.value_needs: tuple[JobState, ...] = ()
        self.unresolved = 0
        self.holders = 0
        self.waiters: list[JobState] | None = None
        self.value_waiters: list[JobState] | None = None
        self.tries = 0
        self.losses = 0
        self.temporary: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether its body ran and the commit counts."""
        return CHILDREN <= self.stage <= DONE

    @property
    def resolved(self) -> bool:
        """Whether its value is there, with all that the value promises."""
        return CHILDREN <= self.stage <= DONE and self.unresolved == 0


FACTS = tuple(name for name in JobState.__slots__ if name != "place")
"""Those attributes of a job that say something of the job."""


class OpenRequest:
    """A request that has not ended.

    Attributes:
        kind: The kind it was issued for.
        jobs: Its jobs that no commit has told of yet.
        dropped: Ids of more such jobs, which were dropped: their worker may still write files for them.
        next: The number of its next commit.
        node: Where it runs; empty until it does.
        started: When it began to run, in seconds since 1970; 0 until it does.
        told: How many of its tasks commits have told of.
    """

    __slots__ = ("dropped", "jobs", "kind", "next", "node", "started", "told")

    def __init__(self, kind: Kind, jobs: Iterable[JobState], next: int = 0, told: int = 0, dropped: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.jobs: dict[str, JobState] = {}
        for job in jobs:
            self.jobs[job.id] = job
        self.dropped = dropped
        self.next = next
        self.node, self.started = "", 0.0
        self.told = told

    @property
    def untold(self) -> tuple[str, ...]:
        """The ids of all its jobs that no commit has told of yet."""
        return (*self.jobs, *self.dropped)

    def goes_on(self, id: str, job: JobState | None) -> None:
        """A new job goes on in the request; one that is not known was dropped with what it follows."""
        if job is None:
            self.dropped += (id,)
        elif job.stage is READY:
            job.stage = ISSUED
            self.jobs[id] = job


def untold(request: str, job: str, jobs: Collection[str], told: int) -> bool:
    """Whether no commit of the request has told of the job; of those that went on in the request, also of one that nobody knows yet.

    Args:
        request: The request's id.
        job: The id of a job that ran in it.
        jobs: The jobs of the request that were ever known and are not told of.
        told: How many of its tasks commits have told of.
    """
    adder, _, _ = job.rpartition(".")  # such a job was added by a task of the request, and followed on it
    before, _, task = adder.rpartition(".")
    return job in jobs or (before == request and int(task) >= told)


class Tally(msgspec.Struct, array_like=True):
    """What is known of all jobs of one name.

    Args:
        total: How many there are so far.
        ran: How many bodies ran.
        wall: Seconds they took in all.
        cpu: Processor seconds they took in all.
        memory: Bytes of memory of the hungriest.
    """

    total: int = 0
    ran: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0

    def add(self, usage: Usage) -> None:
        """Count one more that ran."""
        self.ran += 1
        self.wall += usage.wall
        self.cpu += usage.cpu
        self.memory = max(self.memory, usage.memory)


def closure(needs: Sequence[JobState]) -> list[tuple[str, bytes | Ref]]:
    """The values of these jobs, and those that they promise in turn, by producer."""
    values: dict[str, bytes | Ref] = {}
    stack = list(needs)
    while stack:
        job = stack.pop()
        if job.id not in values:
            assert job.value is not None
            values[job.id] = job.value
            stack.extend(job.value_needs)
    return list(values.items())
