"""The bytes of commits: what is written is read, and nothing else is taken for it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import msgspec
import pytest

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import CorruptBlob, KeyExists, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Kind, NewJob, Ref, Result

KEY = keys.commit("1-7", 2)
KIND = Kind("work", Requirement())


@pytest.fixture
def store() -> Iterator[JobStore]:
    with MemoryJobStore("commits-of-tests", Config()) as opened:
        opened.prepare()
        yield opened
        opened.destroy()


def result(job: str, value: bytes, *bodies: bytes) -> tuple[bytes, bytes, Usage]:
    """An attempt's result that adds jobs with these bodies."""
    payload, jobs = b"", []
    for number, body in enumerate(bodies):
        jobs.append(NewJob(f"{job}.{number}", 0, (len(payload), len(payload) + len(body)), zlib.crc32(body)))
        payload += body
    span = len(payload), len(payload) + len(value)
    encoded = msgspec.msgpack.encode(Result(job, span, zlib.crc32(value), kinds=(KIND,), jobs=tuple(jobs)))
    return encoded, payload + value, Usage(wall=1.5)


def blob(*, big: int = 0) -> bytes:
    return commits.encode("1-7", 2, [result("a", b"first"), result("b", b"second" + b"." * big, b"body", b"another")], final=False, chained="b.1")


def test_what_is_written_is_read() -> None:
    data = blob()
    commit, start = commits.decode(data, KEY)
    assert (commit.request, commit.number, commit.final, commit.void, commit.chained) == ("1-7", 2, False, None, "b.1")
    first, second = commit.entries
    assert (first.result.job, first.base, second.result.job, second.base) == ("a", 0, "b", 5)
    assert first.usage == Usage(wall=1.5)
    payload = data[start:]
    assert commit.size == len(payload) == 5 + 4 + 7 + 6
    assert commits.header_size(data, KEY) == start
    value, body = second.result.value, second.result.jobs[1].body
    assert payload[second.base + value[0] : second.base + value[1]] == b"second"
    assert payload[second.base + body[0] : second.base + body[1]] == b"another"
    assert commits.whole(data, KEY) == (commit, start)
    assert commits.sound(commit, payload, KEY) == payload


def test_marks_differ_unless_given() -> None:
    assert blob() != blob()
    assert len(commits.decode(blob(), KEY)[0].mark) == 8
    assert commits.encode("1-7", 2, mark=b"mine") == commits.encode("1-7", 2, mark=b"mine")


def test_a_void_says_why() -> None:
    commit, _ = commits.decode(commits.encode("1-7", 2, void=Reason.PREEMPTED), KEY)
    assert (commit.void, commit.final, commit.entries, commit.size) == (Reason.PREEMPTED, True, (), 0)


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_an_altered_header_is_found(at: int) -> None:
    data = bytearray(blob())
    data[at] ^= 1
    with pytest.raises(CorruptBlob):
        commits.decode(bytes(data), KEY)


@pytest.mark.parametrize("size", [0, 6, 13, 14, 30])
def test_a_truncated_header_is_found(size: int) -> None:
    with pytest.raises(CorruptBlob):
        commits.decode(blob()[:size], KEY)


def test_the_magic_counts_whatever_follows() -> None:
    data = b"TOILC2" + blob()[6:]
    with pytest.raises(CorruptBlob, match="not a commit"):
        commits.header_size(data, KEY)


def test_a_header_that_is_no_commit_is_found() -> None:
    header = msgspec.msgpack.encode(["1-7"])
    data = b"TOILC1" + len(header).to_bytes(4, "little") + zlib.crc32(header).to_bytes(4, "little") + header
    with pytest.raises(CorruptBlob, match="unreadable"):
        commits.decode(data, KEY)


@pytest.mark.parametrize("key", [keys.commit("1-7", 1), keys.commit("1-8", 2), keys.commit("2-7", 2)])
def test_a_commit_under_anothers_key_is_found(key: str) -> None:
    with pytest.raises(CorruptBlob, match="another's key"):
        commits.decode(blob(), key)


def test_a_payload_that_is_cut_or_too_long_is_found() -> None:
    for data in (blob()[:-1], blob() + b"."):
        with pytest.raises(CorruptBlob, match="truncated"):
            commits.whole(data, KEY)


@pytest.mark.parametrize("at", [0, 4, 5, 8, 9, 15, 16, 21])
def test_every_altered_byte_of_the_payload_is_found(at: int) -> None:
    data = blob()
    commit, start = commits.whole(data, KEY)
    payload = bytearray(data[start:])
    payload[at] ^= 1
    with pytest.raises(CorruptBlob, match=r"altered commit: bytes \d+ to \d+"):
        commits.sound(commit, bytes(payload), KEY)


class TestStored:
    def test_a_small_one_is_read_whole(self, store: JobStore) -> None:
        store.create(KEY, data := blob())
        commit, start, payload = commits.read_with_payload(store, KEY)
        assert payload == data[start:]
        assert commits.read(store, KEY) == (commit, start)

    def test_an_altered_small_one_is_found(self, store: JobStore) -> None:
        store.create(KEY, blob()[:-1] + b"!")
        with pytest.raises(CorruptBlob):
            commits.read_with_payload(store, KEY)

    @pytest.mark.parametrize("more", [-1, 0, 1])
    def test_of_one_that_just_fits_or_not(self, store: JobStore, more: int) -> None:
        data = blob(big=commits._SMALL - len(blob()) + more)
        store.create(KEY, data)
        commit, start, payload = commits.read_with_payload(store, KEY)
        assert (payload is None) == (len(data) >= commits._SMALL)
        assert start + commit.size == len(data)

    def test_of_a_large_one_only_the_header_is_read(self, store: JobStore) -> None:
        store.create(KEY, data := blob(big=200_000))
        commit, start, payload = commits.read_with_payload(store, KEY)
        assert payload is None
        assert start + commit.size == len(data)

    def test_a_large_one_that_is_cut_is_found(self, store: JobStore) -> None:
        store.create(KEY, blob(big=200_000)[:-1])
        with pytest.raises(CorruptBlob, match="truncated"):
            commits.read(store, KEY)

    def test_a_header_beyond_what_is_read_at_first(self, store: JobStore) -> None:
        data = commits.encode("1-7", 2, [result("b", b"value", *[b"."] * 5000)])
        assert commits.header_size(data, KEY) > 65536
        store.create(KEY, data)
        commit, start, payload = commits.read_with_payload(store, KEY)
        assert len(commit.entries[0].result.jobs) == 5000
        assert (start + commit.size, payload) == (len(data), None)

    def test_none_is_none(self, store: JobStore) -> None:
        with pytest.raises(NoSuchKey):
            commits.read(store, KEY)

    def test_a_reference_is_fetched_and_checked(self, store: JobStore) -> None:
        store.create(KEY, data := blob())
        commit, start = commits.whole(data, KEY)
        second = commit.entries[1]
        where = commits.ref(KEY, start + second.base, second.result.jobs[1].body, second.result.jobs[1].crc)
        assert commits.fetch(store, where) == b"another"
        for wrong in (Ref(KEY, where.start + 1, where.stop, where.crc), Ref(KEY, where.start, where.stop, where.crc + 1)):
            with pytest.raises(CorruptBlob):
                commits.fetch(store, wrong)
        with pytest.raises(CorruptBlob):
            commits.check(b"anothe", where)


class TestCreateOnce:
    def test_the_first_writer_wins(self, store: JobStore) -> None:
        assert commits.create_once(store, KEY, b"mine")
        assert not commits.create_once(store, KEY, b"theirs")
        assert not commits.create_once(store, KEY, b"mine and more")
        assert not commits.create_once(store, KEY, b"min")

    def test_a_blob_that_goes_while_its_writer_looks_was_another_s(self, store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(key: str, *part: int) -> None:
            raise NoSuchKey(key)

        store.create(KEY, b"theirs")
        monkeypatch.setattr(store, "read", gone)
        assert not commits.create_once(store, KEY, b"mine")

    def test_a_retry_that_meets_its_own_blob_has_won(self, store: JobStore) -> None:
        store.create(KEY, b"mine")
        assert commits.create_once(store, KEY, b"mine")

    def test_a_blob_that_was_there_and_is_gone_was_anothers(self, store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
        def create(key: str, data: bytes) -> None:
            raise KeyExists(key)

        monkeypatch.setattr(store, "create", create)
        assert not commits.create_once(store, KEY, b"mine")

    @pytest.mark.parametrize(("readings", "ours"), [([b"mixe", b"mine"], True), ([b"mixe", b"mixe"], False)], ids=["altered once", "twice the same"])
    def test_of_another_s_blob_two_equal_readings_are_proof(
        self, store: JobStore, monkeypatch: pytest.MonkeyPatch, readings: list[bytes], ours: bool
    ) -> None:
        store.create(KEY, b"mine")
        left = iter(readings)
        monkeypatch.setattr(store, "read", lambda key, start=0, stop=None: io.BytesIO(next(left)))
        assert commits.create_once(store, KEY, b"mine") is ours
