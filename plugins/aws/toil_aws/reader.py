"""An object as a stream: small ones with one request, large ones in parts, several of which are on their way at a time."""

from __future__ import annotations

import io
import os
import random
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError
from toil_core.crc import joined
from toil_core.errors import StoreError, ToilError, Transient
from urllib3.exceptions import HTTPError

from toil_aws.bodies import PIECE
from toil_aws.errors import SDK, renewed

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Verdict = Callable[[Exception], ToilError]

_FAILURES = (*SDK, HTTPError, OSError)
_TRIES = 6
_BUFFER = 1 << 18


def opened(
    client: S3Client, request: dict[str, Any], verdict: Verdict, *, start: int = 0, stop: int | None = None, part: int = 8 << 20, several: int = 10
) -> BinaryIO:
    """Open bytes of an object.

    At most `several` parts are held in memory, and the one that is being read; none where the stream saves itself into a file
    (see `toil_core.workflow.file_copy.CanSave`). A part that breaks off goes on where it was, and only with the same version of the object.

    Args:
        client: The client.
        request: Bucket, key and what else each request has.
        verdict: Translates errors.
        start: Where to begin.
        stop: Where to end; None for the object's end.
        part: Bytes of a part.
        several: How many parts are on their way at a time.

    Raises:
        ToilError: What the verdict says.
    """
    span: dict[str, Any] = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
    try:
        with renewed():
            answer = client.get_object(**request, **span)
    except _FAILURES as error:
        if isinstance(error, ClientError) and error.response["ResponseMetadata"].get("HTTPStatusCode") == 416:
            return io.BytesIO()  # the object ends before the first byte that is wanted
        raise verdict(error) from error
    length = answer["ContentLength"]
    source = _Source(client, {**request, "IfMatch": answer["ETag"]}, verdict)
    first = _Part(source, start, start + min(length, part), answer["Body"])
    if length <= part:
        data = io.BytesIO(first.read(bytearray(length)))
        data.size = length  # type: ignore[attr-defined]
        return data
    return cast("BinaryIO", _Stream(_Parts(source, first, start, start + length, part, several)))


class _Source:
    """An object as it was when the first request found it.

    Args:
        client: The client.
        request: What each request has.
        verdict: Translates errors.
    """

    def __init__(self, client: S3Client, request: dict[str, Any], verdict: Verdict) -> None:
        self.client, self.request, self.verdict = client, request, verdict
        self.closing = threading.Event()

    def open(self, start: int, stop: int) -> Any:
        return self.client.get_object(**self.request, Range=f"bytes={start}-{stop - 1}")["Body"]

    def translate(self, error: Exception) -> ToilError:
        if isinstance(error, ClientError) and error.response["ResponseMetadata"].get("HTTPStatusCode") == 412:
            return StoreError(str(self.request["Key"]), "the object was replaced while it was read")
        if isinstance(error, HTTPError | OSError):
            return Transient(f"{self.request['Key']}: the connection broke off ({type(error).__name__})")
        return self.verdict(error)


class _Closed(Transient):
    """The stream ended before these bytes were read."""


class _Part:
    """Some bytes of an object, read to their end however often the connection breaks.

    Args:
        source: The object.
        start: Their start.
        stop: Their end.
        body: An answer that begins with them, if there is one.
    """

    def __init__(self, source: _Source, start: int, stop: int, body: Any = None) -> None:
        self._source, self._at, self._stop, self._body = source, start, stop, body

    def read(self, place: bytearray) -> memoryview:
        """Read all of them.

        Args:
            place: Where to put them: as long as they are, or longer.

        Returns:
            What they fill of the place.

        Raises:
            ToilError: They cannot be read.
        """
        start, room = self._at, memoryview(place)
        for at, piece in self.pieces():
            room[at - start : at - start + len(piece)] = piece
        return room[: self._at - start]

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """All of them, in pieces: where each begins in the object, and what it is.

        Raises:
            ToilError: They cannot be read.
        """
        try:
            yield from self._pieces()
        finally:
            self.close()

    def _pieces(self) -> Iterator[tuple[int, bytes]]:
        tries = 0
        while self._at < self._stop:
            if self._source.closing.is_set():
                raise _Closed("the stream was closed")
            try:
                body = self._body or self._source.open(self._at, self._stop)
                self._body = body
                piece = body.read(min(PIECE, self._stop - self._at))
                if not piece:
                    raise EOFError
            except (*_FAILURES, EOFError) as error:
                self.close()
                tries += 1
                found = Transient("the answer was cut short") if isinstance(error, EOFError) else self._source.translate(error)
                if not isinstance(found, Transient) or tries >= _TRIES:
                    raise found from error
                self._source.closing.wait(min(5.0, 0.05 * 2**tries) * random.uniform(0.5, 1.0))
                continue
            at, self._at = self._at, self._at + len(piece)
            tries = 0
            yield at, piece

    def save(self, descriptor: int, shift: int, *, checked: bool) -> tuple[int, int]:
        """Write all of them into a file.

        Args:
            descriptor: The file.
            shift: How much further in the file than in the object they lie.
            checked: Whether their checksum is wanted.

        Returns:
            Their number, and their CRC-32 or 0.
        """
        start, crc = self._at, 0
        for at, piece in self.pieces():
            if checked:
                crc = zlib.crc32(piece, crc)
            _put(descriptor, piece, at + shift)
        return self._at - start, crc

    def close(self) -> None:
        """Leave the connection."""
        body, self._body = self._body, None
        if body is not None:
            body.close()


class _Parts(io.RawIOBase):
    """Parts in turn, each fetched by a thread before it is needed, into memory in which one before it was."""

    def __init__(self, source: _Source, first: _Part, start: int, stop: int, part: int, several: int) -> None:
        self.size = stop - start
        self._source, self._first = source, first
        self._pool = ThreadPoolExecutor(several, "toil-s3")
        self._coming: deque[tuple[bytearray, Future[memoryview]]] = deque()
        self._next, self._stop, self._size, self._several = start, stop, part, several
        self._data = memoryview(b"")
        self._place: bytearray | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._place is None:
            self._begin()
        if not self._data:
            if not self._coming:
                return 0
            place, read = self._coming[0]
            self._data = read.result()  # one that failed stays: what comes after it must not take its place
            self._coming.popleft()
            free, self._place = self._place, place
            if self._next < self._stop and free is not None:
                self._order(free)
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def untouched(self) -> bool:
        """Whether nothing was read."""
        return self._place is None

    def save(self, descriptor: int, start: int, *, checked: bool) -> tuple[int, int]:
        """Write all of them into a file, of which nothing was read; see `CanSave`.

        Raises:
            ToilError: A part cannot be read; the others are left.
            OSError: The file cannot be written.
        """
        self._place = bytearray()
        shift = start - self._next
        rest = iter(range(self._next + self._size, self._stop, self._size))
        first = self._first
        lock = threading.Lock()
        done: dict[int, tuple[int, int]] = {}

        def work(at: int | None, part: _Part | None) -> None:
            while at is not None:
                part = part or _Part(self._source, at, min(at + self._size, self._stop))
                try:
                    done[at] = part.save(descriptor, shift, checked=checked)
                except BaseException:
                    self._source.closing.set()
                    raise
                with lock:
                    at, part = next(rest, None), None

        with lock:
            begun = [(self._next, first), *((at, None) for at in (next(rest, None) for _ in range(self._several - 1)) if at is not None)]
        running = [self._pool.submit(work, *one) for one in begun]
        try:
            wait(running)
        finally:  # whatever ended the wait: nobody writes by this descriptor any more once we are gone
            self._source.closing.set()
            wait(running)
        errors = [error for error in (one.exception() for one in running) if error is not None]
        if errors:
            raise min(errors, key=lambda error: isinstance(error, _Closed))  # what went wrong, not what ended for that
        self._next, size, crc = self._stop, 0, 0
        for _, (length, own) in sorted(done.items()):
            size, crc = size + length, joined(crc, own, length) if checked else 0
        return size, crc

    def close(self) -> None:
        if not self.closed:
            self._source.closing.set()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._coming.clear()
            if self._place is None:
                self._first.close()
        super().close()

    def _begin(self) -> None:
        self._place = bytearray(self._size)
        self._order(bytearray(self._size), self._first)
        while len(self._coming) < self._several and self._next < self._stop:
            self._order(bytearray(self._size))

    def _order(self, place: bytearray, part: _Part | None = None) -> None:
        end = min(self._next + self._size, self._stop)
        part = part or _Part(self._source, self._next, end)
        self._coming.append((place, self._pool.submit(part.read, place)))
        self._next = end


class _Stream(io.BufferedReader):
    """Parts as a stream; from its start on it can save itself, see `toil_core.workflow.file_copy.CanSave`."""

    def __init__(self, parts: _Parts) -> None:
        super().__init__(parts, _BUFFER)
        self._parts = parts
        self.size = parts.size

    def save(self, descriptor: int, start: int, *, checked: bool) -> tuple[int, int]:
        """See `CanSave`."""
        if self._parts.untouched():
            return self._parts.save(descriptor, start, checked=checked)
        size = crc = 0
        while piece := self.read(PIECE):
            crc = zlib.crc32(piece, crc) if checked else 0
            _put(descriptor, piece, start + size)
            size += len(piece)
        return size, crc


def _put(descriptor: int, piece: bytes, at: int) -> None:
    """Write all of a piece at its place in a file."""
    rest = memoryview(piece)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        at, rest = at + written, rest[written:]
