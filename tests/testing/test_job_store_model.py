"""The search for what breaks the job store contract: right stores pass, wrong ones do not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.job_store import Blob, JobStore
from toil_core.options import Config
from toil_core.testing.job_store_model import search

_names = (f"model-{number}" for number in itertools.count())


def memories(kind: type[MemoryJobStore] = MemoryJobStore) -> Callable[[], Sequence[JobStore]]:
    """The owner, and a client that reaches it through its socket."""

    def fresh() -> list[JobStore]:
        owner = kind(next(_names), Config())
        return [owner, kind(owner.worker_locator().removeprefix("memory:"), Config())]

    return fresh


def test_any_operations_on_files(tmp_path: Path) -> None:
    def fresh() -> list[JobStore]:
        place = str(tmp_path / next(_names))
        return [FileJobStore(place, Config()), FileJobStore(place, Config())]

    search(fresh)


def test_any_operations_in_memory() -> None:
    search(memories())


class Overwrites(MemoryJobStore):
    def create(self, key: str, data: bytes) -> None:
        self.delete([key])
        super().create(key, data)


class Cuts(MemoryJobStore):
    def list(self, prefix: str = "") -> Iterator[Blob]:
        return super().list(prefix.rpartition("/")[0])


@pytest.mark.parametrize("kind", [Overwrites, Cuts])
def test_a_store_that_is_wrong_is_found(kind: type[MemoryJobStore]) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)) as raised:
        search(memories(kind), steps=12)
    told = "\n".join(getattr(raised.value, "__notes__", []))
    assert 0 < told.count("state.") <= 6, told
