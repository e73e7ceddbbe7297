"""The job store suite notices drivers that break the contract."""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import pytest

from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import KeyExists, NoSuchKey
from toil_core.job_store import Blob, JobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract


class Overwrites(MemoryJobStore):
    def create(self, key: str, data: bytes) -> None:
        self.write(key, io.BytesIO(data))


class WritesInPieces(MemoryJobStore):
    def write(self, key: str, stream: BinaryIO) -> None:
        super().write(key, io.BytesIO())
        data = b""
        while piece := stream.read(10_000):
            data += piece
            super().write(key, io.BytesIO(data))


class ShowsHalf(MemoryJobStore):
    def __init__(self, locator: str, config: Config) -> None:
        super().__init__(locator, config)
        self.was_read = threading.Event()
        self.readers = False

    def write(self, key: str, stream: BinaryIO) -> None:
        data = stream.read()
        super().write(key, io.BytesIO(data[: len(data) // 2]))
        self.was_read.clear()
        if self.readers:
            self.was_read.wait(60)
        super().write(key, io.BytesIO(data))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        stream = super().read(key, start, stop)
        self.readers = True
        self.was_read.set()
        return stream


class OnePage(MemoryJobStore):
    def list(self, prefix: str = "") -> Iterator[Blob]:
        return itertools.islice(super().list(prefix), 1000)


class Unforgiving(MemoryJobStore):
    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.stat(key)
            super().delete([key])


class FoldersOnly(MemoryJobStore):
    def list(self, prefix: str = "") -> Iterator[Blob]:
        folder = prefix.rpartition("/")[0]
        return (blob for blob in super().list() if blob.key.startswith(folder))


class Careless(MemoryJobStore):
    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        try:
            return super().read(key, start, stop)
        except Exception as error:
            raise NoSuchKey(key) from error


class Clamps(MemoryJobStore):
    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        return super().read(key, min(start, max(0, self.stat(key).size - 1)), stop)


Case = Callable[[JobStoreContract, JobStore], None]


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (Overwrites, JobStoreContract.test_only_the_first_create_wins),
        (Overwrites, JobStoreContract.test_one_of_many_racing_threads_wins),
        (WritesInPieces, lambda suite, store: suite.test_a_failed_write_leaves_no_trace(store, 10)),
        (ShowsHalf, JobStoreContract.test_readers_see_whole_blobs_while_one_writes),
        (OnePage, JobStoreContract.test_more_keys_than_a_page),
        (Unforgiving, JobStoreContract.test_delete_forgets_and_forgives),
        (FoldersOnly, JobStoreContract.test_list_by_prefix),
        (Careless, lambda suite, store: suite.test_bad_keys_are_refused(store, "../a")),
        (Clamps, lambda suite, store: suite.test_a_range_is_read(store, 10, None, b"")),
    ],
)
def test_a_broken_driver_is_noticed(kind: type[MemoryJobStore], case: Case, request: pytest.FixtureRequest) -> None:
    with kind(request.node.name, Config()) as store:
        try:
            with pytest.raises((AssertionError, KeyExists, NoSuchKey, pytest.fail.Exception)):
                case(JobStoreContract(), store)
        finally:
            store.destroy()
