"""The graph as a blob, and back: what a checkpoint holds."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from toil_core.errors import CorruptBlob
from toil_core.leader.graph import Graph
from toil_core.leader.redo import Scope
from toil_core.leader.services import OVER, Crew, Service
from toil_core.leader.state import CHILDREN, DONE, FOLLOWING, ISSUED, READY, WAITING, JobState, OpenRequest, Stage, Tally
from toil_core.wire.jobs import Failure, Kind, Ref


class JobRecord(msgspec.Struct, frozen=True, array_like=True):
    """One job; see `JobState`. Edges name other jobs of the same record by id."""

    id: str
    kind: int
    stage: int
    body: bytes | Ref | None
    value: bytes | Ref | None
    needs: tuple[str, ...]
    value_needs: tuple[str, ...]
    above: tuple[str, ...]
    children: tuple[str, ...]
    follow_ons: tuple[str, ...]
    tries: int
    losses: int
    temporary: tuple[str, ...] = ()


class ServiceRecord(msgspec.Struct, frozen=True, array_like=True):
    """A service: its id, the job that it belongs to, the service that it starts after (or nothing), and whether it was ever up."""

    id: str
    owner: str
    parent: str
    known: bool


class ScopeRecord(msgspec.Struct, frozen=True, array_like=True):
    """All below a checkpoint job; see `redo.Scope`."""

    job: str
    members: tuple[str, ...]
    files: tuple[str, ...]
    deleted: tuple[str, ...]
    added: dict[str, int]
    ran: dict[str, int]


class Snapshot(msgspec.Struct, frozen=True):
    """A whole graph.

    Args:
        epoch: The epoch of the leader that wrote it.
        sequence: The number of its last request: a commit of this epoch with a greater number
            came later, one with a smaller number counts only if its request is open here.
        root: The root job's id.
        kinds: Every kind.
        jobs: Every job that is not forgotten.
        requests: The open requests: id, next commit's number, ids of the jobs not told of yet.
        tallies: By job name.
        failures: The last failure of each job that has not run yet.
        failed: Jobs that failed for good.
        finished: Whether the workflow had come to its end.
        ended: Whether the leader stopped in good order with this.
        histories: Of each epoch, how many blobs of history count.
        services: Those that are still needed, parents before those that start after them.
        serving: For each job whose services may run, whether it waits for them although nothing is below it.
        scopes: All below each checkpoint job that is at work, the outer before the inner.
    """

    epoch: int
    sequence: int
    root: str
    kinds: tuple[Kind, ...]
    jobs: list[JobRecord]
    requests: list[tuple[str, int, tuple[str, ...]]]
    tallies: dict[str, Tally]
    failures: dict[str, Failure]
    failed: tuple[str, ...]
    finished: bool
    ended: bool = False
    histories: dict[int, int] = {}
    services: tuple[ServiceRecord, ...] = ()
    serving: dict[str, bool] = {}
    scopes: tuple[ScopeRecord, ...] = ()


_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode(graph: Graph, *, ended: bool = False, histories: Mapping[int, int] = MappingProxyType({})) -> bytes:
    """The bytes of a checkpoint of the graph as it is.

    Args:
        graph: The graph.
        ended: Whether the leader stops in good order with it.
        histories: Of each epoch, how many blobs of history count.
    """
    assert graph.root is not None
    numbers: dict[int, int] = {}  # by identity: equal kinds are one object
    members = graph.services.members
    gone = {id for id, service in members.items() if service.leaving and not service.again}  # nobody needs them: a new leader has nothing to stop
    kept = [job for job in graph.jobs.values() if job.id not in gone] if gone else list(graph.jobs.values())
    jobs = [_record(job, numbers.setdefault(id(job.kind), len(numbers)), members.get(job.id)) for job in kept]
    kinds = {numbers[id(job.kind)]: job.kind for job in kept}
    requests = [(id, request.next, tuple(request.jobs)) for id, request in graph.requests.items() if gone.isdisjoint(request.jobs)]
    services = tuple(
        ServiceRecord(service.job.id, owner, service.parent.job.id if service.parent else "", service.known)
        for owner, crew in graph.services.crews.items() for service in crew.services if service.phase is not OVER and service.job.id not in gone
    )  # fmt: skip
    serving = {owner: crew.hold for owner, crew in graph.services.crews.items() if crew.active}
    issuer = graph.issuer
    data = msgspec.msgpack.encode(
        Snapshot(
            issuer.epoch, issuer.sequence, graph.root.id, tuple(kinds[number] for number in range(len(kinds))), jobs, requests,
            _tallies(graph, gone), {id: failure for id, failure in graph.failures.items() if id not in gone}, tuple(graph.failed), graph.finished, ended, dict(histories), services, serving,
            tuple(_scope_record(scope) for scope in graph.redo.scopes.values()),
        )
    )  # fmt: skip
    return zlib.crc32(data).to_bytes(4, "little") + data


def decode(data: bytes, key: str) -> Snapshot:
    """The snapshot that a checkpoint holds.

    Raises:
        CorruptBlob: The blob is truncated or altered.
    """
    content = memoryview(data)[4:]
    if zlib.crc32(content) != int.from_bytes(data[:4], "little"):
        raise CorruptBlob(key, "truncated or altered checkpoint")
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise CorruptBlob(key, f"unreadable checkpoint ({error})") from error


def restore(graph: Graph, snapshot: Snapshot) -> None:
    """Fill an empty graph with what the snapshot holds."""
    graph.kinds = {kind: kind for kind in snapshot.kinds}
    kinds = snapshot.kinds
    jobs = graph.jobs
    for record in snapshot.jobs:
        job = jobs[record.id] = JobState(record.id, kinds[record.kind], record.body)
        job.value, job.tries, job.losses = record.value, record.tries, record.losses
        job.temporary = record.temporary
        job.stage = Stage(record.stage) if record.body is None or CHILDREN <= record.stage <= FOLLOWING else WAITING
    for record in snapshot.jobs:
        _connect(graph, jobs[record.id], record)
    _restore_scopes(graph, snapshot)
    _restore_services(graph, snapshot)
    _count(graph)
    graph.root = jobs[snapshot.root]
    graph.root.holders += 1
    graph.tallies, graph.failures = snapshot.tallies, snapshot.failures
    graph.failed = {id: jobs[id] for id in snapshot.failed}
    graph.finished = snapshot.finished
    for job in list(jobs.values()):
        if job.stage is WAITING and not job.pending:
            job.stage = READY
        if job.ran and not job.holders and (job.stage is DONE or job.value is not None):  # only services that are gone held it
            job.holders = 1
            graph.unhold(job)
    for id, number, members in snapshot.requests:
        open_jobs = [jobs[member] for member in members]
        if open_jobs:
            graph.requests[id] = OpenRequest(open_jobs[0].kind, open_jobs, number)
            for job in open_jobs:
                if job.kind.service:
                    graph.services.adopt(id, job)
                if not job.ran:  # a service that is up
                    job.stage = ISSUED


def _record(job: JobState, kind: int, service: Service | None) -> JobRecord:
    stage = job.stage if service is None or not service.known else CHILDREN
    return JobRecord(
        job.id, kind, stage, job.body, job.value,
        _ids(job.needs), _ids(job.value_needs), _ids(job.above), _ids(job.children), _ids(job.follow_ons),
        job.tries, job.losses, job.temporary,
    )  # fmt: skip


def _ids(jobs: tuple[JobState, ...]) -> tuple[str, ...]:
    return tuple(job.id for job in jobs)


def _connect(graph: Graph, job: JobState, record: JobRecord) -> None:
    jobs = graph.jobs
    job.needs = tuple(jobs[id] for id in record.needs)
    job.value_needs = tuple(jobs[id] for id in record.value_needs)
    job.above = tuple(jobs[id] for id in record.above)
    job.children = tuple(jobs[id] for id in record.children)
    job.follow_ons = tuple(jobs[id] for id in record.follow_ons)
    for need in (*job.needs, *job.value_needs):
        need.holders += 1
    for held in (job.body, job.value):
        if isinstance(held, Ref):
            graph.held[held.key] = graph.held.get(held.key, 0) + 1


def _count(graph: Graph) -> None:
    """What can be told from the edges: who waits for whom, and how much is open."""
    unreleased = set()
    for job in graph.jobs.values():
        for below in (*job.children, *job.follow_ons):
            below.pending += 1
            unreleased.add((job.id, below.id))
    for job in graph.jobs.values():
        for upper in job.above:
            if (upper.id, job.id) not in unreleased:
                upper.open += 1
        for need in job.needs:
            scope = graph.redo.scopes.get(need.id) if graph.redo.scopes else None
            if scope is not None and job.id in scope.members:
                for inner in need.value_needs:
                    inner.waiters = inner.waiters or []
                    inner.waiters.append(job)
                    job.pending += 1
                continue
            need.waiters = need.waiters or []
            need.waiters.append(job)
            job.pending += 1
        job.unresolved += len(job.value_needs)
        for need in job.value_needs:
            need.value_waiters = need.value_waiters or []
            need.value_waiters.append(job)
    for job in [job for job in graph.jobs.values() if job.resolved]:
        graph.resolved(job)


def _restore_services(graph: Graph, snapshot: Snapshot) -> None:
    services = graph.services
    for record in snapshot.services:
        if record.owner not in services.crews:
            services.crews[record.owner] = Crew(graph.jobs[record.owner])
        parent = services.members.get(record.parent)
        services.join(services.crews[record.owner], graph.jobs[record.id], parent).known = record.known
    for owner, hold in snapshot.serving.items():
        crew = services.crews[owner]
        crew.active, crew.hold = True, hold
        crew.owner.open += hold


def _restore_scopes(graph: Graph, snapshot: Snapshot) -> None:
    redo = graph.redo
    for record in snapshot.scopes:
        job = graph.jobs[record.job]
        job.unresolved += 1
        scope = redo.scopes[record.job] = Scope(job, redo.scope_of.get(record.job))
        scope.members = dict.fromkeys(record.members)
        scope.files, scope.deleted, scope.added, scope.ran = list(record.files), list(record.deleted), record.added, record.ran
        redo.scope_of.update(dict.fromkeys(record.members, scope))


def _scope_record(scope: Scope) -> ScopeRecord:
    return ScopeRecord(scope.job.id, tuple(scope.members), tuple(scope.files), tuple(scope.deleted), scope.added, scope.ran)


def _tallies(graph: Graph, gone: set[str]) -> dict[str, Tally]:
    """The tallies, with services that are about to stop as done."""
    tallies = dict(graph.tallies)
    for id in gone:
        service = graph.services.members[id]
        if not service.dropped:
            name = service.job.kind.name
            tallies[name] = msgspec.structs.replace(tallies[name], ran=tallies[name].ran + 1)
    return tallies
