"""The job store contract on S3: on a real server, and on a fake of Amazon's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from tests.servers import Server
from toil_core.job_store import CanCopy, CanWarm, ChecksPlace, HasPace, HasUrls, JobStore
from toil_core.options import Config
from toil_core.testing.job_store import KEYS, JobStoreContract

from toil_aws.job_store import S3JobStore

ABILITIES = (CanCopy, CanWarm, ChecksPlace, HasPace, HasUrls)


class TestRealServer(JobStoreContract):
    abilities = ABILITIES
    large = 20 << 20
    keys = tuple(key for key in KEYS if "\\" not in key and all(len(part.encode()) < 256 for part in key.split("/")))
    """Its objects are entries of a file system, where `\\` is `/` and no name is longer than 255 bytes; Amazon has no such limits."""

    @pytest.fixture
    def store(self, real: Server, name: str) -> Iterator[JobStore]:
        yield S3JobStore(f"us-west-2:{name}", Config())

    @pytest.fixture
    def locator(self, store: JobStore, name: str) -> str:
        return f"aws:us-west-2:{name}"

    def test_keys_that_look_alike_are_different(self, store: JobStore) -> None:
        """Where objects are entries of a file system, no blob can have the name of a folder."""
        keys = [*self.keys, "A", "a,b", "a%2Cb", "a%2cb", "a%b", "files/x/z", "files/x,y", "é", "e\u0301", "~", "~/~0/a", "files/~0/a", "files/~1/~0/b"]
        for key in keys:
            store.create(key, key.encode())
        assert sorted(blob.key for blob in store.list()) == sorted(keys)
        assert [store.read(key).read().decode() for key in keys] == keys

    @pytest.fixture
    def reopen(self, store: JobStore, name: str) -> Callable[[], JobStore]:
        return lambda: S3JobStore(f"us-west-2:{name}", Config())


class Serialised(S3JobStore):
    """Creates one after another: the fake checks whether a key is there, then stores."""

    lock = threading.Lock()

    def create(self, key: str, data: bytes) -> None:
        with self.lock:
            super().create(key, data)


class TestFakeOfAmazon(JobStoreContract):
    abilities = ABILITIES

    @pytest.fixture
    def store(self, fake: Server, name: str) -> Iterator[JobStore]:
        yield Serialised(f"us-west-2:{name}", Config())

    @pytest.fixture
    def reopen(self, store: JobStore, name: str) -> Callable[[], JobStore]:
        return lambda: Serialised(f"us-west-2:{name}", Config())
