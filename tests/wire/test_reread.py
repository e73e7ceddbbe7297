"""Bytes that are altered on their way are read again; those that lie altered in the store are told."""

from __future__ import annotations

import io
import itertools
import zlib
from typing import BinaryIO

import msgspec
import pytest

from toil_core.batch_system import Usage
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import CorruptBlob
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.commits import create_once
from toil_core.wire.jobs import Ref, Result
from toil_core.wire.reread import READS, reread
from toil_core.worker.settle import fetch_all

_names = (f"reread-{number}" for number in itertools.count())
KEY = keys.commit("1-1", 0)


class Altering(MemoryJobStore):
    """Alters what is read for so many times."""

    def __init__(self, times: int) -> None:
        super().__init__(next(_names), Config())
        self.prepare()
        self.times = times

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        data = super().read(key, start, stop).read()
        if self.times:
            self.times -= 1
            data = data[:-1] + bytes([data[-1] ^ self.times + 1])
        return io.BytesIO(data)


def commit(value: bytes = b"value", mark: bytes = b"12345678") -> bytes:
    result = Result("1-1.0.0", value=(0, len(value)), crc=zlib.crc32(value))
    return commits.encode("1-1", 0, [(msgspec.msgpack.encode(result), value, Usage())], mark=mark)


@pytest.mark.parametrize("times", range(READS))
def test_what_was_altered_on_its_way_is_read_again(times: int) -> None:
    store = Altering(times)
    store.create(KEY, commit())
    _, start, payload = commits.read_with_payload(store, KEY)
    assert payload == b"value"
    where = Ref(KEY, start, start + 5, zlib.crc32(b"value"))
    store.times = times
    assert commits.fetch(store, where) == b"value"
    store.times = times
    assert fetch_all(store, [where]) == {where: b"value"}


def test_what_lies_altered_in_the_store_is_told() -> None:
    store = Altering(0)
    store.create(KEY, commit()[:-1] + b"x")
    with pytest.raises(CorruptBlob):
        commits.read_with_payload(store, KEY)


def test_reading_again_ends() -> None:
    tries: list[None] = []

    def read() -> None:
        tries.append(None)
        raise CorruptBlob(KEY)

    with pytest.raises(CorruptBlob):
        reread(read)
    assert len(tries) == READS


@pytest.mark.parametrize("times", range(READS))
def test_a_writer_knows_its_own_blob_although_it_is_altered_when_it_looks(times: int) -> None:
    """A worker that took it for another's would delete the files of an attempt that counts."""
    store = Altering(times)
    store.create(KEY, commit())
    assert create_once(store, KEY, commit())


@pytest.mark.parametrize("times", range(READS))
def test_another_s_blob_is_never_taken_for_one_s_own(times: int) -> None:
    store = Altering(times)
    store.create(KEY, commit(mark=b"abcdefgh"))
    assert not create_once(store, KEY, commit())
