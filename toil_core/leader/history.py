"""What became of every attempt, kept when its commit is gone. Pure.

Commits are removed once they are folded, so with each checkpoint the leader writes what ended
since the one before. Such a blob counts only if its checkpoint was written: the checkpoint says
how many of each epoch's blobs count. What a leader had not folded when it died is in commits, and
recorded anew by the next one when it takes them in.

Layout of a blob: parts of `PART` attempts, each with its length and its CRC-32 (4 bytes each,
little endian), then the MessagePack of `Columns`, compressed by zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec.structs import astuple

from toil_core.batch_system import Usage
from toil_core.errors import CorruptBlob
from toil_core.leader.state import FOLLOWING, JobState, Stage
from toil_core.wire.jobs import Failure, Kind, Result

T = TypeVar("T")

PART = 2048
"""So many attempts are compressed together; memory holds no more than that uncompressed."""
MOST_EDGES = 100
"""Of a job with more predecessors, or promised values, than that, only so many are recorded."""

Edges = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The jobs that a job is a child of, that it follows on, and whose values it was given."""

_FRAME = struct.Struct("<II")
_NO_EDGES: Edges = ((), (), ())


class Attempt(msgspec.Struct, frozen=True):
    """One attempt that ended.

    Args:
        job: The job's id.
        name: The job's name.
        request: The id of the request that it travelled in.
        node: Where it ran; empty when that is not known any more.
        attempt: Which attempt of the job this was, from 1; counted anew after a restart.
        outcome: `done`, or why it did not succeed: the text of a `Reason`.
        started: When it started, in seconds since 1970, to a hundredth of a millisecond; 0 when unknown.
        wall: Seconds it took, to 7 digits.
        cpu: Processor seconds it took, to 7 digits.
        memory: Bytes of memory at its peak.
        disk: Bytes of temporary disk at its end.
        read: Bytes read from block devices.
        written: Bytes written to block devices.
        cores: Cores that were requested for it.
        requested_memory: Bytes of memory that were requested for it.
        requested_disk: Bytes of disk that were requested for it.
        preemptible: Whether it could run where it can be preempted.
        log: Key of its log; empty when none was kept.
        child_of: Jobs that it is a child of.
        follows: Jobs that it is a follow-on of.
        needs: Jobs whose values it was given.
    """

    job: str
    name: str
    request: str
    node: str
    attempt: int
    outcome: str
    started: float
    wall: float
    cpu: float
    memory: int
    disk: int
    read: int
    written: int
    cores: float
    requested_memory: int
    requested_disk: int
    preemptible: bool
    log: str
    child_of: tuple[str, ...]
    follows: tuple[str, ...]
    needs: tuple[str, ...]


class Columns(msgspec.Struct, array_like=True):
    """The attempts of one part, by columns; numbers of a table's entries stand for these.

    Args:
        kinds: Table of kinds: name, cores, memory, disk, preemptible.
        requests: Table of requests and where each ran.
        edges: Table of edges; siblings share one.
        base: Seconds since 1970 that `started` counts from.
        jobs: Ids.
        kind: By number.
        request: By number.
        edge: By number.
        started: In hundredths of a millisecond from `base`; -1 when unknown.
        wall: Seconds, as 4-byte floating point numbers, little endian.
        cpu: The same.
        memory: Bytes.
        disk: Bytes.
        read: Bytes.
        written: Bytes.
        attempts: From 1, of attempts that were not the first, by row.
        outcomes: Reasons, of attempts that did not succeed, by row.
        logs: Keys of logs that were kept, by row.
    """

    kinds: list[tuple[str, float, int, int, bool]]
    requests: list[tuple[str, str]]
    edges: list[Edges]
    base: float
    jobs: list[str]
    kind: list[int]
    request: list[int]
    edge: list[int]
    started: list[int]
    wall: bytes
    cpu: bytes
    memory: list[int]
    disk: list[int]
    read: list[int]
    written: list[int]
    attempts: dict[int, int]
    outcomes: dict[int, str]
    logs: dict[int, str]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Columns)


class Past:
    """Takes in attempts as they end, and holds them, compressed, until they are written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._clear()

    def _clear(self) -> None:
        self._rows: list[tuple[str, Usage, Kind, tuple[str, str], int]] = []
        self._attempts: dict[int, int] = {}
        self._outcomes: dict[int, str] = {}
        self._logs: dict[int, str] = {}
        self._edges: dict[Edges, int] = {}
        self._last: tuple[JobState | None, Stage | None, int] = (None, None, 0)

    def committed(self, job: JobState, request: str, node: str, result: Result, usage: Usage) -> None:
        """An attempt has ended with a result; to be told before the graph takes it in."""
        failure = result.failure
        row = len(self._rows)
        if failure is not None:
            self._outcomes[row] = failure.reason.value
            if failure.log:
                self._logs[row] = failure.log
        elif result.log:
            self._logs[row] = result.log
        self._add(job, request, node, usage)

    def given_up(self, job: JobState, request: str, node: str, failure: Failure, usage: Usage) -> None:
        """A request has ended without a result of the job; to be told before the graph takes it in."""
        self._outcomes[len(self._rows)] = failure.reason.value
        self._add(job, request, node, usage)

    def _add(self, job: JobState, request: str, node: str, usage: Usage) -> None:
        attempt = job.tries + job.losses
        if attempt:
            self._attempts[len(self._rows)] = attempt + 1
        if len(job.above) != 1 or job.needs:
            edges = self._edges.setdefault(_edges(job), len(self._edges))
        else:
            known, stage, edges = self._last
            (upper,) = job.above
            if upper is not known or upper.stage is not stage:  # it is no sibling of the one before
                edges = self._below(upper)
        self._rows.append((job.id, usage, job.kind, (request, node), edges))
        if len(self._rows) >= PART:
            self._pack()

    def _below(self, upper: JobState) -> int:
        edges: Edges = ((), (upper.id,), ()) if upper.stage is FOLLOWING else ((upper.id,), (), ())
        number = self._edges.setdefault(edges, len(self._edges))
        self._last = upper, upper.stage, number
        return number

    def _pack(self) -> None:
        """Compress what was taken in since the last time."""
        jobs, usages, of_kind, of_request, edges = zip(*self._rows, strict=True)
        identities = list(map(id, of_kind))  # quicker to look up than kinds
        kinds = dict(zip(identities, of_kind, strict=True))
        kind_numbers, requests = _numbered(kinds), _numbered(of_request)
        wall, cpu, memory, disk, read, written, started = map(list, zip(*map(astuple, usages), strict=True))
        base = min(filter(None, started), default=0.0)
        columns = Columns(
            [(k.name, k.requirement.cores, k.requirement.memory, k.requirement.disk, k.requirement.preemptible) for k in kinds.values()],
            list(requests),
            list(self._edges),
            base,
            list(jobs),
            list(map(kind_numbers.__getitem__, identities)),
            list(map(requests.__getitem__, of_request)),
            list(edges),
            [round((when - base) * 1e5) if when else -1 for when in started],
            _floats(wall),
            _floats(cpu),
            memory,
            disk,
            read,
            written,
            self._attempts,
            self._outcomes,
            self._logs,
        )
        data = zlib.compress(_encoder.encode(columns), 1)
        self._parts.append(_FRAME.pack(len(data), zlib.crc32(data)) + data)
        self._clear()

    def blob(self) -> bytes:
        """All that was taken in since `written`; empty when nothing was."""
        if self._rows:
            self._pack()
        return b"".join(self._parts)

    def written(self) -> None:
        """What `blob` gave is in the store, and its checkpoint too."""
        self._parts.clear()


def decode(data: bytes, key: str) -> Iterator[Attempt]:
    """The attempts that a blob holds.

    Args:
        data: The blob.
        key: Its key, for errors.

    Raises:
        CorruptBlob: It is truncated or altered.
    """
    start = 0
    while start < len(data):
        if len(data) - start < _FRAME.size:
            raise CorruptBlob(key, "truncated history")
        size, crc = _FRAME.unpack_from(data, start)
        start += _FRAME.size
        part = data[start : start + size]
        start += size
        if len(part) != size or zlib.crc32(part) != crc:
            raise CorruptBlob(key, "truncated or altered history")
        try:
            columns = _decoder.decode(zlib.decompress(part))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise CorruptBlob(key, f"unreadable history ({error})") from error
        yield from _attempts(columns)


def _attempts(columns: Columns) -> Iterator[Attempt]:
    walls, cpus = _numbers(columns.wall), _numbers(columns.cpu)
    rows = zip(columns.jobs, columns.kind, columns.request, columns.edge, columns.started, walls, cpus, columns.memory, columns.disk, columns.read, columns.written, strict=True)  # fmt: skip
    for row, (job, kind, request, edge, started, wall, cpu, memory, disk, read, written) in enumerate(rows):
        name, cores, asked_memory, asked_disk, preemptible = columns.kinds[kind]
        of_request, node = columns.requests[request]
        when = 0.0 if started < 0 else columns.base + started / 1e5
        child_of, follows, needs = columns.edges[edge]
        yield Attempt(
            job, name, of_request, node, columns.attempts.get(row, 1), columns.outcomes.get(row, "done"),
            when, wall, cpu, memory, disk, read, written, cores, asked_memory, asked_disk, preemptible,
            columns.logs.get(row, ""), child_of, follows, needs,
        )  # fmt: skip


def _edges(job: JobState) -> Edges:
    if not job.above and not job.needs:
        return _NO_EDGES
    above = job.above[:MOST_EDGES]
    return (
        tuple(each.id for each in above if each.stage is not FOLLOWING),
        tuple(each.id for each in above if each.stage is FOLLOWING),
        tuple(each.id for each in job.needs[:MOST_EDGES]),
    )


def _numbered(entries: Iterable[T]) -> dict[T, int]:
    """The number of each in a table of those that differ, which are in the order in which they come first."""
    return {entry: number for number, entry in enumerate(dict.fromkeys(entries))}


def _floats(values: list[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _numbers(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 4}f", data)
