"""The graph as a blob, and back: what a checkpoint holds.

Layout: the CRC-32 of all that follows, then records, each after its length (4 bytes each, little
endian): parts of `PART` jobs in columns, and last the `Snapshot` itself, in MessagePack. Restoring a
million jobs is a matter of seconds only because most of what is said of each is said in columns.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO

import msgspec

from toil_core.errors import CorruptBlob
from toil_core.leader.graph import Graph
from toil_core.leader.redo import Scope
from toil_core.leader.services import OVER, Crew
from toil_core.leader.state import CHILDREN, DONE, FOLLOWING, ISSUED, READY, WAITING, JobState, OpenRequest, Stage, Tally
from toil_core.wire.jobs import Failure, Kind, Ref

PART = 16384
"""So many jobs are encoded together."""

_Held = bytes | Ref | None
Numbers = list[int]
"""Jobs, by their place among all jobs of the snapshot."""


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `Ref`: the number of its key among the keys of the snapshot, start, stop and CRC-32."""

    key: int
    start: int
    stop: int
    crc: int


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Some jobs, by columns; see `JobState`. What few of them have is told by their place in the part.

    Args:
        ids: Ids.
        kinds: By number.
        stages: Stages.
        bodies: Bodies.
        values: Values, of those that have one.
        tries: Tries and losses, of those that have any.
        temporary: Keys of temporary files, of those that have any.
        above: Runs of jobs that are below the same jobs: how many jobs, and below which.
        needs: Of those that need values, whose.
        value_needs: Of those whose values hold promises, whose.
        children: Of those with children to be released, which.
        follow_ons: The same of follow-ons.
    """

    ids: list[str]
    kinds: list[int]
    stages: list[int]
    bodies: list[bytes | Place | None]
    values: dict[int, bytes | Place]
    tries: dict[int, tuple[int, int]]
    temporary: dict[int, tuple[str, ...]]
    above: list[tuple[int, Numbers]]
    needs: dict[int, Numbers]
    value_needs: dict[int, Numbers]
    children: dict[int, Numbers]
    follow_ons: dict[int, Numbers]


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
        keys: The keys of all blobs that jobs refer to.
        requests: The open requests: id, next commit's number, ids of the jobs not told of yet (also of dropped ones), how many of its tasks were told of.
        tallies: By job name.
        failures: The last failure of each job that has not run yet.
        failed: Jobs that failed for good.
        finished: Whether the workflow had come to its end.
        ended: Whether the leader stopped in good order with this.
        histories: Of each epoch, how many blobs of history count.
        services: Those that are still needed, parents before those that start after them.
        serving: For each job whose services may run, whether it waits for them although nothing is below it.
        scopes: All below each checkpoint job that is at work, the outer before the inner.
        deleting: Global files that nobody needs, which the leader was about to delete.
        parts: Every job that is not forgotten.
    """

    epoch: int
    sequence: int
    root: str
    kinds: tuple[Kind, ...]
    keys: tuple[str, ...]
    requests: list[tuple[str, int, tuple[str, ...], int]]
    tallies: dict[str, Tally]
    failures: dict[str, Failure]
    failed: tuple[str, ...]
    finished: bool
    ended: bool = False
    histories: dict[int, int] = {}
    services: tuple[ServiceRecord, ...] = ()
    serving: dict[str, bool] = {}
    scopes: tuple[ScopeRecord, ...] = ()
    deleting: tuple[str, ...] = ()
    parts: list[Part] = []


_STAGES = tuple(Stage)
_PARTLY_DONE = int(CHILDREN), int(FOLLOWING)
_SUM = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)
_part_decoder = msgspec.msgpack.Decoder(Part)


def encode(
    graph: Graph, *, ended: bool = False, histories: Mapping[int, int] = MappingProxyType({}), deleting: Iterable[str] = ()
) -> bytes:
    """The bytes of a checkpoint of the graph as it is.

    Args:
        graph: The graph.
        ended: Whether the leader stops in good order with it.
        histories: Of each epoch, how many blobs of history count.
        deleting: Global files that are deleted as soon as it is written.
    """
    assert graph.root is not None
    members = graph.services.members
    gone = {id for id, service in members.items() if service.leaving and not service.again}  # nobody needs them: a new leader has nothing to stop
    jobs = [job for job in graph.jobs.values() if job.id not in gone] if gone else list(graph.jobs.values())
    out = io.BytesIO()  # grows in place: a large graph is not held twice
    out.write(_SUM.pack(0))
    packer = _Packer(jobs, {id for id, service in members.items() if service.known})
    for start in range(0, len(jobs), PART):
        _write(out, packer.part(jobs[start : start + PART]))
    requests = [(id, request.next, request.untold, request.told) for id, request in graph.requests.items() if gone.isdisjoint(request.jobs)]
    services = tuple(
        ServiceRecord(service.job.id, owner, service.parent.job.id if service.parent else "", service.known)
        for owner, crew in graph.services.crews.items() for service in crew.services if service.phase is not OVER and service.job.id not in gone
    )  # fmt: skip
    serving = {owner: crew.hold for owner, crew in graph.services.crews.items() if crew.active}
    issuer = graph.issuer
    head = Snapshot(
        issuer.epoch, issuer.sequence, graph.root.id, tuple(packer.kinds), tuple(packer.keys), requests,
        _tallies(graph, gone), {id: failure for id, failure in graph.failures.items() if id not in gone}, tuple(graph.failed), graph.finished, ended, dict(histories), services, serving,
        tuple(_scope_record(scope) for scope in graph.redo.scopes.values()), tuple(deleting),
    )  # fmt: skip
    _write(out, head)
    with out.getbuffer() as data:
        _SUM.pack_into(data, 0, zlib.crc32(data[_SUM.size :]))
    return out.getvalue()


def decode(data: bytes, key: str) -> Snapshot:
    """The snapshot that a checkpoint holds.

    Raises:
        CorruptBlob: The blob is truncated or altered.
    """
    return _decode(data, key, whole=True)


def decode_head(data: bytes, key: str) -> Snapshot:
    """The same without jobs, which is all that some want to know.

    Raises:
        CorruptBlob: The blob is truncated or altered.
    """
    return _decode(data, key, whole=False)


def _decode(data: bytes, key: str, *, whole: bool) -> Snapshot:
    content = memoryview(data)[_SUM.size :]
    if len(data) <= _SUM.size or zlib.crc32(content) != _SUM.unpack_from(data)[0]:
        raise CorruptBlob(key, "truncated or altered checkpoint")
    try:
        *parts, head = _records(content)
        snapshot = _decoder.decode(head)
        if whole:
            snapshot.parts.extend(_part_decoder.decode(part) for part in parts)
    except (msgspec.MsgspecError, struct.error, ValueError) as error:
        raise CorruptBlob(key, f"unreadable checkpoint ({error})") from error
    return snapshot


def restore(graph: Graph, snapshot: Snapshot) -> None:
    """Fill an empty graph with what the snapshot holds."""
    graph.kinds = {kind: kind for kind in snapshot.kinds}
    jobs = graph.jobs
    every: list[JobState] = []
    for part in snapshot.parts:
        new = _unpack(graph, part, snapshot)
        jobs.update(zip(part.ids, new, strict=True))
        every += new
    starts = list(itertools.accumulate([len(part.ids) for part in snapshot.parts], initial=0))[:-1]
    parts = list(zip(starts, snapshot.parts, strict=True))
    for start, part in parts:
        _connect(every, start, part)
    _restore_scopes(graph, snapshot)
    _restore_services(graph, snapshot)
    _count(graph, every, parts)
    graph.root = jobs[snapshot.root]
    graph.root.holders += 1
    graph.tallies, graph.failures = snapshot.tallies, snapshot.failures
    graph.failed = {id: jobs[id] for id in snapshot.failed}
    graph.finished = snapshot.finished
    for job in every:
        if job.stage is WAITING:
            if not job.pending:
                job.stage = READY
        elif not job.holders and job.ran:  # perhaps only services that are gone held it
            job.holders = 1
            graph.unhold(job)
    for id, number, members, told in snapshot.requests:
        open_jobs = [jobs[member] for member in members if member in jobs]
        if open_jobs:
            graph.requests[id] = OpenRequest(open_jobs[0].kind, open_jobs, number, told, tuple(member for member in members if member not in jobs))
            for job in open_jobs:
                if job.kind.service:
                    graph.services.adopt(id, job)
                if not job.ran:  # a service that is up
                    job.stage = ISSUED


# Packing


class _Packer:
    """Turns jobs into columns.

    Args:
        jobs: All jobs of the snapshot.
        known: Ids of services that were up once.
    """

    def __init__(self, jobs: Sequence[JobState], known: set[str]) -> None:
        self.kinds: list[Kind] = []
        self.keys: dict[str, int] = {}
        self._known = known
        for place, job in enumerate(jobs):
            job.place = place
        self._kind_numbers: dict[int, int] = {}  # by identity: equal kinds are one object

    def part(self, jobs: Sequence[JobState]) -> Part:
        """The next jobs as columns."""
        known = self._known
        bodies = [job.body for job in jobs]
        values = {at: value for at, job in enumerate(jobs) if (value := job.value) is not None}
        few = [
            (at, job) for at, job in enumerate(jobs)
            if job.needs or job.children or job.follow_ons or job.value_needs or job.tries or job.losses or job.temporary
        ]  # fmt: skip
        return Part(
            [job.id for job in jobs],
            self._kinds_of(jobs),
            [CHILDREN if job.id in known else job.stage for job in jobs] if known else [job.stage for job in jobs],
            self._places(bodies),
            dict(zip(values, self._places(values.values()), strict=True)),  # type: ignore[arg-type]  # of values that are there
            {at: (job.tries, job.losses) for at, job in few if job.tries or job.losses},
            {at: job.temporary for at, job in few if job.temporary},
            [(len(list(run)), _edges(above)) for above, run in itertools.groupby([job.above for job in jobs])],
            {at: _edges(job.needs) for at, job in few if job.needs},
            {at: _edges(job.value_needs) for at, job in few if job.value_needs},
            {at: _edges(job.children) for at, job in few if job.children},
            {at: _edges(job.follow_ons) for at, job in few if job.follow_ons},
        )

    def _kinds_of(self, jobs: Sequence[JobState]) -> list[int]:
        numbers: list[int] = []
        for kind, run in itertools.groupby([job.kind for job in jobs]):  # siblings mostly have the same
            numbers += [self._kind(kind)] * len(list(run))
        return numbers

    def _kind(self, kind: Kind) -> int:
        number = self._kind_numbers.get(id(kind))
        if number is None:
            number = self._kind_numbers[id(kind)] = len(self.kinds)
            self.kinds.append(kind)
        return number

    def _places(self, held: Iterable[_Held]) -> list[bytes | Place | None]:
        keys = self.keys
        return [Place(keys.setdefault(one.key, len(keys)), one.start, one.stop, one.crc) if type(one) is Ref else one for one in held]  # type: ignore[misc]


def _edges(jobs: Iterable[JobState]) -> Numbers:
    return [job.place for job in jobs]


def _write(out: BinaryIO, record: Part | Snapshot) -> None:
    data = _encoder.encode(record)
    out.write(_SUM.pack(len(data)))
    out.write(data)


def _records(content: memoryview) -> Iterator[memoryview]:
    start = 0
    while start < len(content):
        (size,) = _SUM.unpack_from(content, start)
        start += _SUM.size
        yield content[start : start + size]
        start += size


# Unpacking


def _unpack(graph: Graph, part: Part, snapshot: Snapshot) -> list[JobState]:
    """The part's jobs, without edges."""
    bodies, values = _held(graph.held, snapshot.keys, part.bodies), _held(graph.held, snapshot.keys, part.values.values())
    jobs = list(map(JobState, part.ids, map(snapshot.kinds.__getitem__, part.kinds), bodies))
    for job, stage in zip(jobs, part.stages, strict=True):
        if stage and (job.body is None or stage in _PARTLY_DONE):
            job.stage = _STAGES[stage]
    for at, value in zip(part.values, values, strict=True):
        jobs[at].value = value
    for at, (tries, losses) in part.tries.items():
        jobs[at].tries, jobs[at].losses = tries, losses
    for at, temporary in part.temporary.items():
        jobs[at].temporary = temporary
    return jobs


def _held(count: dict[str, int], keys: Sequence[str], places: Collection[bytes | Place | None]) -> list[_Held]:
    for number, more in Counter([place.key for place in places if type(place) is Place]).items():
        count[keys[number]] = count.get(keys[number], 0) + more
    return [Ref(keys[place.key], place.start, place.stop, place.crc) if type(place) is Place else place for place in places]  # type: ignore[misc]


def _connect(jobs: Sequence[JobState], start: int, part: Part) -> None:
    """Link the part's jobs, the first of which is at `start`, with those that they name."""
    at = start
    for count, numbers in part.above:
        above = _jobs(jobs, numbers)
        if above:
            for job in jobs[at : at + count]:
                job.above = above
        at += count
    for at, numbers in part.needs.items():
        jobs[start + at].needs = _holding(jobs, numbers)
    for at, numbers in part.value_needs.items():
        jobs[start + at].value_needs = _holding(jobs, numbers)
    for at, numbers in part.children.items():
        jobs[start + at].children = _jobs(jobs, numbers)
    for at, numbers in part.follow_ons.items():
        jobs[start + at].follow_ons = _jobs(jobs, numbers)


def _holding(jobs: Sequence[JobState], numbers: Numbers) -> tuple[JobState, ...]:
    needs = _jobs(jobs, numbers)
    for need in needs:
        need.holders += 1
    return needs


def _jobs(jobs: Sequence[JobState], numbers: Numbers) -> tuple[JobState, ...]:
    return tuple([jobs[number] for number in numbers])


def _count(graph: Graph, jobs: Sequence[JobState], parts: Sequence[tuple[int, Part]]) -> None:
    """What can be told from the edges: who waits for whom, and how much is open.

    Most jobs have but one edge, so that no more of them are looked at than the columns name.
    """
    unreleased: dict[str, set[str]] = {}
    for start, part in parts:
        for at in sorted({*part.children, *part.follow_ons}):
            job = jobs[start + at]
            belows = (*job.children, *job.follow_ons)
            unreleased[job.id] = {below.id for below in belows}
            for below in belows:
                below.pending += 1
    for start, part in parts:
        at = start
        for count, _ in part.above:  # siblings share one tuple
            for upper in jobs[at].above:
                inside = unreleased.get(upper.id)
                upper.open += count if inside is None else sum(job.id not in inside for job in jobs[at : at + count])
            at += count
    promised: set[int] = set()
    for start, part in parts:
        for at in sorted({*part.needs, *part.value_needs}):
            job = jobs[start + at]
            if job.needs:
                _wait(graph, job)
            job.unresolved += len(job.value_needs)
            for need in job.value_needs:
                need.value_waiters = need.value_waiters or []
                need.value_waiters.append(job)
        promised.update(*part.value_needs.values())
    for job in [jobs[number] for number in sorted(promised)]:
        if job.resolved:  # those that wait for values that promise nothing do not wait
            graph.resolved(job)


def _wait(graph: Graph, job: JobState) -> None:
    """Have the job wait for the values that it needs, until it is told that they are there."""
    for need in job.needs:
        scope = graph.redo.scopes.get(need.id) if graph.redo.scopes else None
        if scope is not None and job.id in scope.members:
            for inner in need.value_needs:
                inner.waiters = inner.waiters or []
                inner.waiters.append(job)
                job.pending += 1
            continue
        if CHILDREN <= need.stage <= DONE and not need.unresolved and not need.value_needs:
            continue
        if need.waiters is None:
            need.waiters = [job]  # a list of one takes less than one that grew
        else:
            need.waiters.append(job)
        job.pending += 1


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
