"""A job store that shows another one and keeps every change to itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from toil_core.errors import KeyExists, NoSuchKey, Unsupported
from toil_core.job_store import Blob, JobStore


class Overlay(JobStore):
    """Reads fall through to the store below; what is written, or deleted, is so here alone.

    Args:
        below: The store that is shown; it is never changed.
        here: A prepared, empty store for what is written.
    """

    def __init__(self, below: JobStore, here: JobStore) -> None:
        self._below = below
        self._here = here
        self._gone: set[str] = set()

    def prepare(self) -> None:
        """Nothing is to be made."""

    def destroy(self) -> None:
        raise Unsupported("a job store that is only looked at is not removed")

    def create(self, key: str, data: bytes) -> None:
        if key not in self._gone:
            try:
                self._below.stat(key)
            except NoSuchKey:
                pass
            else:
                raise KeyExists(key)
        self._here.create(key, data)
        self._gone.discard(key)

    def write(self, key: str, stream: BinaryIO) -> None:
        self._here.write(key, stream)
        self._gone.discard(key)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        return self._of(key).read(key, start, stop)

    def stat(self, key: str) -> Blob:
        return self._of(key).stat(key)

    def delete(self, keys: Iterable[str]) -> None:
        every = list(keys)
        self._here.delete(every)
        self._gone.update(every)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        mine = {blob.key: blob for blob in self._here.list(prefix)}
        yield from mine.values()
        yield from (blob for blob in self._below.list(prefix) if blob.key not in mine and blob.key not in self._gone)

    def _of(self, key: str) -> JobStore:
        try:
            self._here.stat(key)
        except NoSuchKey:
            if key in self._gone:
                raise
            return self._below
        return self._here
