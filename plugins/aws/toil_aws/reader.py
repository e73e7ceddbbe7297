"""An object as a stream: small ones with one request, large ones in parts, several of which are on their way at a time."""

from __future__ import annotations

import io
import random
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError
from toil_core.errors import StoreError, ToilError, Transient
from urllib3.exceptions import HTTPError

from toil_aws.errors import SDK, renewed

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

Verdict = Callable[[Exception], ToilError]

_FAILURES = (*SDK, HTTPError, OSError)
_TRIES = 6
_BUFFER = 1 << 18
_PIECE = 1 << 18
"""Bytes that are taken from a connection at a time: few enough to stay in the processor's cache until they are in their place."""


def opened(
    client: S3Client, request: dict[str, Any], verdict: Verdict, *, start: int = 0, stop: int | None = None, part: int = 8 << 20, several: int = 10
) -> BinaryIO:
    """Open bytes of an object.

    At most `several` parts are held in memory, and the one that is being read. A part that breaks off goes on where it was,
    and only with the same version of the object.

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
    return cast("BinaryIO", io.BufferedReader(_Parts(source, first, start, start + length, part, several), _BUFFER))


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
        tries = 0
        while self._at < self._stop:
            if self._source.closing.is_set():
                raise Transient("the stream was closed")
            try:
                body = self._body or self._source.open(self._at, self._stop)
                self._body = body
                piece = body.read(min(_PIECE, self._stop - self._at))
                if not piece:
                    raise EOFError
            except (*_FAILURES, EOFError) as error:
                self._drop()
                tries += 1
                found = Transient("the answer was cut short") if isinstance(error, EOFError) else self._source.translate(error)
                if not isinstance(found, Transient) or tries >= _TRIES:
                    raise found from error
                self._source.closing.wait(min(5.0, 0.05 * 2**tries) * random.uniform(0.5, 1.0))
                continue
            room[self._at - start : self._at - start + len(piece)] = piece
            self._at += len(piece)
            tries = 0
        self._drop()
        return room[: self._at - start]

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()


class _Parts(io.RawIOBase):
    """Parts in turn, each fetched by a thread before it is needed, into memory in which one before it was."""

    def __init__(self, source: _Source, first: _Part, start: int, stop: int, part: int, several: int) -> None:
        self.size = stop - start
        self._source = source
        self._pool = ThreadPoolExecutor(several, "toil-s3")
        self._coming: deque[tuple[bytearray, Future[memoryview]]] = deque()
        self._next, self._stop, self._size = start, stop, part
        self._place, self._data = bytearray(part), memoryview(b"")
        self._order(bytearray(part), first)
        while len(self._coming) < several and self._next < stop:
            self._order(bytearray(part))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data:
            if not self._coming:
                return 0
            place, read = self._coming[0]
            self._data = read.result()  # one that failed stays: what comes after it must not take its place
            self._coming.popleft()
            free, self._place = self._place, place
            if self._next < self._stop:
                self._order(free)
        count = min(len(buffer), len(self._data))
        buffer[:count] = self._data[:count]
        self._data = self._data[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._source.closing.set()
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._coming.clear()
        super().close()

    def _order(self, place: bytearray, part: _Part | None = None) -> None:
        end = min(self._next + self._size, self._stop)
        part = part or _Part(self._source, self._next, end)
        self._coming.append((place, self._pool.submit(part.read, place)))
        self._next = end
