"""The cases of the job store contract for optional abilities; part of `toil_core.testing.job_store.JobStoreContract`."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Collection
from contextlib import suppress
from typing import ClassVar

import pytest

from toil_core.errors import KeyExists, ToilError
from toil_core.job_store import CanCopy, CanSync, CanTidy, HasPaths, HasUrls, HasWorkerLocator, JobStore
from toil_core.testing.abilities import check_abilities

SECONDS = 60.0
"""How long a case waits for others before it fails."""


class JobStoreAbilities:
    """What a store does that has more abilities than it must; each case skips itself where it has not this one."""

    abilities: ClassVar[Collection[type]] = ()
    """The optional abilities that the driver is meant to have, `HasPaths` for example; cases of others are skipped where it has not these."""

    def test_it_has_the_abilities_that_it_claims(self, store: JobStore) -> None:
        check_abilities(store, self.abilities)

    def test_paths_are_real(self, store: JobStore) -> None:
        if not isinstance(store, HasPaths):
            pytest.skip("no paths")
        for key in ("k", "files/1-42/0.7/reads.fastq.gz"):
            store.create(key, b"bytes")
            assert store.path(key).read_bytes() == b"bytes"
            assert not store.path(key).stat().st_mode & 0o222, "nobody should write through a path"
        assert store.path("files/1-42/0.7/reads.fastq.gz").name == "reads.fastq.gz"
        assert not store.path("files/absent").exists()

    def test_a_staged_file_is_adopted(self, store: JobStore) -> None:
        if not isinstance(store, HasPaths):
            pytest.skip("no paths")
        for content in (b"first", b"second"):
            source = store.staging() / "a file.txt"
            source.write_bytes(content)
            store.adopt("files/1/a file.txt", source)
            assert not source.exists()
            assert read(store, "files/1/a file.txt") == content
            assert store.path("files/1/a file.txt").read_bytes() == content
        assert [blob.key for blob in store.list()] == ["files/1/a file.txt"]
        with pytest.raises(ToilError):
            store.adopt("k", store.staging() / "absent")

    def test_urls_give_the_bytes(self, store: JobStore) -> None:
        if not isinstance(store, HasUrls):
            pytest.skip("no urls")
        for key in ("k", "uni-ß☃/sp ace,%2F?#"):
            store.create(key, key.encode())
            with urllib.request.urlopen(store.url(key, 60), timeout=SECONDS) as answer:
                assert answer.read() == key.encode()

    def test_a_url_of_nobody_is_not_copied(self, store: JobStore) -> None:
        if not isinstance(store, CanCopy):
            pytest.skip("no server-side copies")
        with suppress(ToilError):
            assert store.copy_from("k", "nobody-knows-this:scheme") is None
        assert list(store.list()) == []

    def test_sync_keeps_everything(self, store: JobStore) -> None:
        if not isinstance(store, CanSync):
            pytest.skip("nothing to sync")
        store.sync()
        store.create("k", b"1")
        store.sync()
        assert read(store, "k") == b"1"

    def test_what_is_being_written_is_not_tidied_away(self, store: JobStore) -> None:
        if not isinstance(store, CanTidy):
            pytest.skip("nothing to tidy")
        tidy = store.tidy

        class Slow(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                tidy()
                return super().read(size)

        store.create("k", b"1")
        store.write("w", Slow(b"2"))
        store.tidy()
        assert (read(store, "k"), read(store, "w")) == (b"1", b"2")

    def test_workers_reach_it_under_their_locator(self, store: JobStore) -> None:
        if not isinstance(store, HasWorkerLocator):
            pytest.skip("workers use the same locator")
        from toil_core.options import Config
        from toil_core.plugins import open_job_store

        store.create("k", b"leader")
        with open_job_store(store.worker_locator(), Config()) as worker:
            assert read(worker, "k") == b"leader"
            worker.create("w", b"worker")
            with pytest.raises(KeyExists):
                worker.create("k", b"worker")
        assert read(store, "w") == b"worker"
        assert store.worker_locator() == store.worker_locator()


def read(store: JobStore, key: str, start: int = 0, stop: int | None = None) -> bytes:
    """What is stored there."""
    with store.read(key, start, stop) as stream:
        return stream.read()
