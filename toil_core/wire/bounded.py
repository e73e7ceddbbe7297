"""A job store that is not waited for without end, for commands that somebody sits in front of."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, TypeVar

from toil_core.errors import Transient
from toil_core.job_store import Blob, HasPaths, JobStore, check_place
from toil_core.telling import tell
from toil_core.wire.patient import PatientStore

T = TypeVar("T")

SECONDS = 30.0
_PART = 1 << 20
_PAGE = 1000


def watched(store: JobStore, seconds: float = SECONDS) -> PatientStore:
    """The store as commands that watch a run see it: passing troubles are waited out, silence is not, neither for long.

    Files in folders are read without that: they are many and small, and to hand each to another thread takes longer than to read it.

    Args:
        store: The store as it was opened.
        seconds: For how long an operation may go without an answer, and for how long it is tried again.
    """
    return PatientStore(store if isinstance(store, HasPaths) else BoundedStore(store, seconds), seconds=seconds, told=_tell)


def _tell(error: Transient, seconds: float) -> None:
    tell(f"toil: warning: {error}; it is tried again for {max(1.0, seconds):.0f} s")


class BoundedStore(JobStore):
    """Answers `Transient` when the store below has not answered in time.

    Each operation runs in another thread, which is left to itself then, and so does each part of what is listed or read.
    So a server that takes connections and never answers is told apart from a slow one.

    Args:
        inner: The store below.
        seconds: How long a part of an operation may take.
    """

    def __init__(self, inner: JobStore, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds
        self._idle: list[_Helper] = []

    def prepare(self) -> None:
        self._within(self._inner.prepare)

    def check_place(self) -> None:
        """See `ChecksPlace`; nothing where the store below cannot tell."""
        self._within(lambda: check_place(self._inner))

    def destroy(self) -> None:
        self._inner.destroy()  # takes as long as there are blobs

    def create(self, key: str, data: bytes) -> None:
        self._within(lambda: self._inner.create(key, data))

    def write(self, key: str, stream: BinaryIO) -> None:
        self._inner.write(key, stream)  # takes as long as the stream is

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        return io.BufferedReader(_Stream(self._within(lambda: self._inner.read(key, start, stop)), self._within), _PART)

    def stat(self, key: str) -> Blob:
        return self._within(lambda: self._inner.stat(key))

    def delete(self, keys: Iterable[str]) -> None:
        every = list(keys)
        self._within(lambda: self._inner.delete(every))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        found = self._inner.list(prefix)
        while page := self._within(lambda: [*islice(found, _PAGE)]):
            yield from page

    def close(self) -> None:
        self._inner.close()

    def _within(self, operation: Callable[[], T]) -> T:
        """Do it in another thread.

        Raises:
            Transient: It did not end in time.
        """
        helper = self._helper()
        answer = helper.ask(operation, self._seconds)
        self._idle.append(helper)  # one that has not answered is left to itself
        return answer

    def _helper(self) -> _Helper:
        while True:
            try:
                helper = self._idle.pop()
            except IndexError:
                helper = _Helper(name="toil-bounded", daemon=True)
                helper.start()
            if helper.is_alive():  # in a forked child no thread of its parent is
                return helper


class _Helper(threading.Thread):
    """A thread that does one thing after another for one who waits."""

    def __init__(self, name: str, *, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._asked: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()

    def run(self) -> None:
        while True:
            operation = self._asked.get()
            try:
                answer: Any = operation()
                error = None
            except Exception as raised:  # noqa: BLE001  it belongs to the one who waits
                answer, error = None, raised
            self._answers.put((answer, error))
            del operation, answer, error

    def ask(self, operation: Callable[[], T], seconds: float) -> T:
        """Have it done.

        Raises:
            Transient: It did not end in time.
        """
        self._asked.put(operation)
        try:
            answer, error = self._answers.get(timeout=seconds)
        except Empty:
            text = f"the job store has not answered for {seconds:g} s; look at the network, and at the server that it is on"
            raise Transient(text) from None
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]


class _Stream(io.RawIOBase):
    """What is read of a blob, each part within the time.

    Args:
        inner: The store's own stream.
        within: Does something within the time.
    """

    def __init__(self, inner: BinaryIO, within: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._stream = inner
        self._within = within

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._within(lambda: self._stream.read(len(buffer)))
        buffer[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        parts = [self._within(self._part)]
        while len(parts[-1]) == _PART:
            parts.append(self._within(self._part))
        return b"".join(parts)

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _part(self) -> bytes:
        """As much as there is of the next part; so what is small is read at once."""
        parts: list[bytes] = []
        left = _PART
        while left and (read := self._stream.read(left)):
            parts.append(read)
            left -= len(read)
        return b"".join(parts)
