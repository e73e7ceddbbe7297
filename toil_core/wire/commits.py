"""The commit blob: what came of a request, or of the next part of it.

Layout: `TOILC1`, the header's length (4 bytes, little endian), the header's CRC-32 (4 bytes),
the header (MessagePack), the payload. The header alone is enough to apply a commit to the
graph, so a leader need not fetch a large payload; payloads are read by range.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import BinaryIO
from zlib import crc32

import msgspec

from toil_core.batch_system import Reason, Usage
from toil_core.errors import CorruptBlob, KeyExists, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.wire.jobs import Ref, Result, Span
from toil_core.wire.reread import READS, reread

_MAGIC = b"TOILC1"
_FRAME = struct.Struct("<6sII")
_SMALL = 65536


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One attempt's result inside a commit.

    Args:
        result: The result; its spans count from `base`.
        base: Where the result's part of the payload starts.
        usage: What the attempt used.
    """

    result: Result
    base: int = 0
    usage: Usage = Usage()


class RawEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry whose result is already encoded, so that a host need not decode it."""

    result: msgspec.Raw
    base: int = 0
    usage: Usage = Usage()


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """The header of a commit blob.

    Args:
        request: The request's id.
        number: Which of its commits this is, from 0.
        mark: Random bytes that tell this writer's blob from any other.
        final: Whether the request has ended with this commit.
        entries: The results.
        void: Why the request was given up, when a leader wrote this to end it; no later
            commit of the request counts.
        chained: A new job that goes on in the same request.
        size: The length of the payload in bytes.
    """

    request: str
    number: int
    mark: bytes
    final: bool = True
    entries: tuple[Entry, ...] = ()
    void: Reason | None = None
    chained: str = ""
    size: int = 0


class _RawCommit(msgspec.Struct, frozen=True, array_like=True):
    request: str
    number: int
    mark: bytes
    final: bool
    entries: Sequence[RawEntry]
    void: Reason | None
    chained: str
    size: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Commit)


def encode(
    request: str,
    number: int,
    results: Sequence[tuple[bytes, bytes, Usage]] = (),
    *,
    final: bool = True,
    void: Reason | None = None,
    chained: str = "",
    mark: bytes | None = None,
) -> bytes:
    """The bytes of a commit blob.

    Args:
        request: The request's id.
        number: Which of its commits this is.
        results: For each attempt its encoded `Result`, its payload and its usage.
        final: Whether the request ends with it.
        void: Set by a leader that gives the request up.
        chained: A new job that goes on in the same request.
        mark: Bytes that no other writer has; 8 random ones if not given.
    """
    entries, base = [], 0
    for result, payload, usage in results:
        entries.append(RawEntry(msgspec.Raw(result), base, usage))
        base += len(payload)
    header = _encoder.encode(_RawCommit(request, number, os.urandom(8) if mark is None else mark, final, entries, void, chained, base))
    frame = _FRAME.pack(_MAGIC, len(header), crc32(header))
    return b"".join([frame, header, *(payload for _, payload, _ in results)])


def header_size(start: bytes, key: str) -> int:
    """How many bytes from the start of the blob hold frame and header.

    Args:
        start: At least the first 14 bytes of the blob.
        key: The blob's key, for errors.

    Raises:
        CorruptBlob: These are not the first bytes of a commit.
    """
    return _frame(start, key)[0]


def _frame(start: bytes, key: str) -> tuple[int, int]:
    """Where the header ends, and its CRC-32."""
    if len(start) < _FRAME.size or not start.startswith(_MAGIC):
        raise CorruptBlob(key, "not a commit")
    _, size, crc = _FRAME.unpack_from(start)
    return _FRAME.size + size, crc


def decode(data: bytes, key: str) -> tuple[Commit, int]:
    """The header of a commit, and where its payload starts.

    Args:
        data: The blob, or its first bytes up to the header's end at least.
        key: The blob's key, for errors.

    Raises:
        CorruptBlob: The header is truncated or not what was written.
    """
    end, crc = _frame(data, key)
    header = data[_FRAME.size : end]
    if len(data) < end or crc32(header) != crc:
        raise CorruptBlob(key, "truncated or altered commit")
    try:
        commit = _decoder.decode(header)
    except msgspec.MsgspecError as error:
        raise CorruptBlob(key, f"unreadable commit ({error})") from error
    if not key.endswith(f"{commit.request}/{str(commit.number).zfill(6)}"):
        raise CorruptBlob(key, f"commit {commit.number} of request {commit.request} under another's key")
    return commit, end


def read(store: JobStore, key: str) -> tuple[Commit, int]:
    """Read the header of a stored commit, and check that the payload is not cut short.

    Raises:
        NoSuchKey: There is none.
        CorruptBlob: It is truncated or altered.
    """
    commit, start, _ = read_with_payload(store, key)
    return commit, start


def read_with_payload(store: JobStore, key: str) -> tuple[Commit, int, bytes | None]:
    """Read the header of a stored commit, where its payload starts, and the payload when that is small.

    Raises:
        NoSuchKey: There is none.
        CorruptBlob: It is truncated or altered, as far as it was read.
    """
    return reread(lambda: _read_with_payload(store, key))


def _read_with_payload(store: JobStore, key: str) -> tuple[Commit, int, bytes | None]:
    with store.read(key, 0, _SMALL) as stream:
        data = stream.read()
    if len(data) < _SMALL:
        commit, end = whole(data, key)
        return commit, end, sound(commit, data[end:], key)
    end = header_size(data, key)
    if end > len(data):
        with store.read(key, 0, end) as stream:
            data = stream.read()
    commit, end = decode(data, key)
    if store.stat(key).size != end + commit.size:
        raise CorruptBlob(key, "truncated commit")
    return commit, end, None


def whole(data: bytes, key: str) -> tuple[Commit, int]:
    """The header of a commit whose blob is at hand, and where its payload starts.

    Raises:
        CorruptBlob: It is truncated or altered.
    """
    commit, end = decode(data, key)
    if end + commit.size != len(data):
        raise CorruptBlob(key, "truncated commit")
    return commit, end


def sound(commit: Commit, payload: bytes, key: str) -> bytes:
    """The payload, when every value and body in it is what was written.

    Raises:
        CorruptBlob: One is altered.
    """
    for entry in commit.entries:
        base, result = entry.base, entry.result
        start, stop = result.value
        if crc32(payload[base + start : base + stop]) != result.crc:
            raise _altered(key, base + start, base + stop)
        for job in result.jobs:
            start, stop = job.body
            if crc32(payload[base + start : base + stop]) != job.crc:
                raise _altered(key, base + start, base + stop)
    return payload


def _altered(key: str, start: int, stop: int) -> CorruptBlob:
    return CorruptBlob(key, f"altered commit: bytes {start} to {stop} of its payload")


def create_once(store: JobStore, key: str, data: bytes) -> bool:
    """Create the blob; True when it is ours.

    A driver's own retry may meet the blob that its first, seemingly failed, try created:
    the random mark inside makes equal bytes mean the same writer.
    """
    try:
        store.create(key, data)
    except KeyExists:
        return _is_there(store, key, data)
    return True


def _is_there(store: JobStore, key: str, data: bytes) -> bool:
    """Whether that is what the blob holds; of another's blob two equal readings are proof, as one may be altered on its way."""
    former = None
    for _ in range(READS):
        try:
            with store.read(key, 0, len(data) + 1) as stream:
                found = stream.read()
        except NoSuchKey:
            return False
        if found == data:
            return True
        if found == former:
            return False
        former = found
    return False


def ref(key: str, start: int, span: Span, crc: int) -> Ref:
    """Where a span of an entry lies in the blob.

    Args:
        key: The blob's key.
        start: Where the entry's payload starts in the blob.
        span: The span inside the entry's payload.
        crc: Its CRC-32.
    """
    return Ref(key, start + span[0], start + span[1], crc)


def check(data: bytes, where: Ref) -> bytes:
    """The data, when it is what the reference speaks of.

    Raises:
        CorruptBlob: It is shorter or altered.
    """
    if len(data) != where.stop - where.start or crc32(data) != where.crc:
        raise CorruptBlob(where.key, f"bytes {where.start} to {where.stop} are not what was written")
    return data


def fetch(store: JobStore, where: Ref) -> bytes:
    """Read the bytes that a reference speaks of.

    Raises:
        NoSuchKey: The blob is gone.
        CorruptBlob: The bytes are not what was written.
    """
    return reread(lambda: _fetch(store, where))


def _fetch(store: JobStore, where: Ref) -> bytes:
    stream: BinaryIO
    with store.read(where.key, where.start, where.stop) as stream:
        return check(stream.read(where.stop - where.start), where)
