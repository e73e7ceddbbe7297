"""The page that a leader keeps in the job store for those who want to know how far it is.

It is small whatever the size of the workflow, and written anew while something happens, so it
answers at once and from any machine. It says which commits it has taken in: what was committed
later can be added by whoever reads it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

import msgspec

from toil_core.batch_system import Requirement
from toil_core.leader.graph import Graph
from toil_core.leader.state import DELAYED, JobState, OpenRequest
from toil_core.wire.jobs import Failure

SHOWN = 100
"""So many jobs of each sort are named; of all, the number is told."""


class KindPage(msgspec.Struct, frozen=True, array_like=True):
    """All jobs of one name.

    Args:
        name: The name.
        total: Jobs known so far.
        done: Jobs whose bodies ran.
        running: Jobs that run.
        failed: Jobs that failed for good.
        cpu: Processor seconds of those that are done.
        wall: Seconds of those that are done, added up.
        memory: Bytes at the peak of the hungriest of them.
    """

    name: str
    total: int
    done: int
    running: int
    failed: int
    cpu: float
    wall: float
    memory: int


class RequestPage(msgspec.Struct, frozen=True, array_like=True):
    """A request that has not ended.

    Args:
        id: Its id.
        next: The number of its next commit.
        name: The name of its jobs.
        jobs: How many of its jobs no commit has told of; they run one after another.
        first: The id of the first of these; empty for none.
        node: Where it runs; empty when it waits.
        started: When it began to run, in seconds since 1970; 0 when it waits for room.
        cores: Cores that it needs.
        memory: Bytes of memory that it needs.
        disk: Bytes of disk that it needs.
        misfit: Why it fits none of the present machines; empty when it fits one, or that is unknown.
    """

    id: str
    next: int
    name: str
    jobs: int
    first: str
    node: str
    started: float
    cores: float
    memory: int
    disk: int
    misfit: str = ""


class Page(msgspec.Struct, frozen=True):
    """How far a run is.

    Args:
        epoch: The leader's epoch.
        sequence: The number of its last request; a commit of one with a greater number came later,
            one of another counts here only if its request is not among `requests`, or its number is below `next`.
        written: When this was written, in seconds since 1970.
        outcome: `succeeded`, `failed` or `interrupted` when the run is over; empty while it goes on.
        complete: Whether the whole workflow is done.
        stopping: Whether the leader was asked to stop.
        kinds: Counts by name.
        requests: The open requests.
        ready: How many jobs could run and wait in the leader for room in the batch system.
        delayed: Jobs that wait before another attempt, the first to go on first: id, name, until when.
        delays: How many of these there are.
        failures: The last failures of jobs, those that failed for good first: id, name, whether for good, why.
        failed: How many jobs failed for good.
        failing: How many other jobs' last attempts failed.
        capacity: The largest request that the batch system can run; None when unknown.
        slots: How many cores it has; None when unknown.
        held: How many services wait for others to end, as there may be only so many.
    """

    epoch: int
    sequence: int
    written: float
    outcome: str
    complete: bool
    stopping: bool
    kinds: list[KindPage]
    requests: list[RequestPage]
    ready: int
    delayed: list[tuple[str, str, float]]
    delays: int
    failures: list[tuple[str, str, bool, Failure]]
    failed: int
    failing: int
    capacity: Requirement | None = None
    slots: float | None = None
    held: int = 0


_decoder = msgspec.msgpack.Decoder(Page)


def of(
    graph: Graph,
    now: float,
    outcome: str = "",
    capacity: Requirement | None = None,
    slots: float | None = None,
    misfits: Mapping[str, str] | None = None,
) -> Page:
    """The page of a graph.

    Args:
        graph: The graph as it is.
        now: Seconds since 1970.
        outcome: How the run ended; empty while it goes on.
        capacity: The largest request that the batch system can run.
        slots: How many cores it has.
        misfits: For each request that fits none of the present machines, why.
    """
    misfits = misfits or {}
    running: dict[str, int] = {}
    for request in graph.requests.values():
        if request.started and request.jobs:
            running[request.kind.name] = running.get(request.kind.name, 0) + 1
    failed: dict[str, int] = {}
    for job in graph.failed.values():
        failed[job.kind.name] = failed.get(job.kind.name, 0) + 1
    kinds = [
        KindPage(name, tally.total, tally.ran, running.get(name, 0), failed.get(name, 0), tally.cpu, tally.wall, tally.memory)
        for name, tally in graph.tallies.items()
    ]  # fmt: skip
    delayed = [(until, id, job.kind.name) for until, id, job in graph.delayed if job.stage is DELAYED]
    issuer = graph.issuer
    return Page(
        issuer.epoch, issuer.sequence, now, outcome, graph.complete, graph.stopping, kinds,
        [_request(id, request, misfits.get(id, "")) for id, request in graph.requests.items()], issuer.waiting(),
        [(id, name, until) for until, id, name in heapq.nsmallest(SHOWN, delayed)], len(delayed),
        [*_failures(graph, graph.failed, final=True), *_failures(graph, _failing(graph), final=False)],
        len(graph.failed), sum(1 for id in graph.failures if id not in graph.failed), capacity, slots,
        len(graph.services.queued),
    )  # fmt: skip


def encode(page: Page) -> bytes:
    """The bytes to store."""
    return msgspec.msgpack.encode(page)


def decode(data: bytes) -> Page:
    """The page that the bytes hold.

    Raises:
        msgspec.MsgspecError: They hold none.
        UnicodeDecodeError: The same.
    """
    return _decoder.decode(data)


def _request(id: str, request: OpenRequest, misfit: str) -> RequestPage:
    needed = request.kind.requirement
    first = next(iter(request.jobs), "")
    return RequestPage(
        id, request.next, request.kind.name, len(request.jobs), first, request.node, request.started,
        needed.cores, needed.memory, needed.disk, "" if request.started else misfit,
    )  # fmt: skip


def _failing(graph: Graph) -> Iterable[str]:
    return (id for id in graph.failures if id not in graph.failed)


def _failures(graph: Graph, ids: Iterable[str], *, final: bool) -> list[tuple[str, str, bool, Failure]]:
    """The newest of them."""
    chosen: list[tuple[JobState, Failure]] = []
    for id in reversed(list(ids)):
        job, failure = graph.jobs.get(id), graph.failures.get(id)
        if job is not None and failure is not None:
            chosen.append((job, failure))
            if len(chosen) == SHOWN:
                break
    return [(job.id, job.kind.name, final, failure) for job, failure in reversed(chosen)]
