"""A job store that waits out passing troubles of the one below it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, TypeVar

from toil_core.errors import Transient
from toil_core.job_store import Blob, JobStore, check_place

T = TypeVar("T")

_LEAST = 0.1


class PatientStore(JobStore):
    """Tries each operation again while the store below answers `Transient`.

    The waits double from a tenth of a second up to ten seconds, with jitter, and end early
    when `give_up` is set.

    Args:
        inner: The store below.
        seconds: For how long an operation is tried before its error is passed on.
        give_up: Set by another thread to stop waiting.
        clock: Seconds of a clock that does not go back.
        wait: Waits that many seconds, and tells whether to give up; on `give_up` if not given.
        jitter: A number from 0.5 to 1.
        told: Called with the first error that an operation waits out, and the seconds for which it is tried again; nobody if not given.
    """

    def __init__(
        self,
        inner: JobStore,
        seconds: float = 300.0,
        give_up: threading.Event | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
        told: Callable[[Transient, float], None] = lambda error, seconds: None,
    ) -> None:
        self.inner = inner
        self._seconds = seconds
        self._clock, self._jitter = clock, jitter
        self._wait = wait or (give_up or threading.Event()).wait
        self._told = told

    def prepare(self) -> None:
        self._try(self.inner.prepare)

    def check_place(self) -> None:
        """See `ChecksPlace`; nothing where the store below cannot tell."""
        self._try(lambda: check_place(self.inner))

    def destroy(self) -> None:
        self._try(self.inner.destroy)

    def create(self, key: str, data: bytes) -> None:
        self._try(lambda: self.inner.create(key, data))

    def write(self, key: str, stream: BinaryIO) -> None:
        start = stream.tell()

        def once() -> None:
            stream.seek(start)
            self.inner.write(key, stream)

        self._try(once)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        return self._try(lambda: self.inner.read(key, start, stop))

    def stat(self, key: str) -> Blob:
        return self._try(lambda: self.inner.stat(key))

    def delete(self, keys: Iterable[str]) -> None:
        every = list(keys)
        self._try(lambda: self.inner.delete(every))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return iter(self._try(lambda: [*self.inner.list(prefix)]))

    def close(self) -> None:
        self.inner.close()

    def _try(self, operation: Callable[[], T]) -> T:
        deadline = self._clock() + self._seconds
        wait = _LEAST
        while True:
            try:
                return operation()
            except Transient as error:
                left = deadline - self._clock()
                if left > 0 and wait == _LEAST:
                    self._told(error, left)
                if left <= 0 or self._wait(wait * self._jitter()):
                    raise
                wait = min(2 * wait, 10.0)
