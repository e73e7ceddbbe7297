"""What servers and networks do at times, injected between the store and a real S3 server."""

from __future__ import annotations

import io
import os
import random
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.proxy import PASSING, Asked, Fault, Proxy, proxy_to
from tests.scripts import run_script
from tests.servers import Server
from toil_core.errors import KeyExists, NoSuchKey, StoreError, Transient
from toil_core.options import Config
from toil_core.workflow.file_copy import copy_checked, copy_stream

from toil_aws import clients, names, reader
from toil_aws.job_store import S3JobStore
from toil_aws.options import AwsOptions

DATA = random.Random(7).randbytes(22 << 20)


@pytest.fixture
def proxy(real: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxy_to(real.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def store(proxy: Proxy, name: str) -> Iterator[S3JobStore]:
    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(part_size=5 << 20, transfers=4, attempts=4)])) as store:
        store.prepare()
        proxy.asked.clear()
        yield store
        proxy.fault = lambda asked: None
        store.destroy()


def puts(asked: Asked) -> bool:
    return asked.method == "PUT"


def test_an_answer_that_was_lost_is_no_other_writer(store: S3JobStore, proxy: Proxy) -> None:
    proxy.once(Fault.LOST_ANSWER, puts)
    store.create("commits/1-1/000000", b"ours")
    assert proxy.count("PUT") == 1
    assert [asked.fault for asked in proxy.asked if puts(asked)][:2] == [Fault.LOST_ANSWER, None]
    assert store.read("commits/1-1/000000").read() == b"ours"
    with pytest.raises(KeyExists):
        store.create("commits/1-1/000000", b"ours")


def test_a_conflict_with_a_try_of_ones_own_is_no_other_writer(store: S3JobStore, proxy: Proxy) -> None:
    proxy.once(Fault.CONFLICT, puts)
    store.create("commits/1-1/000000", b"ours")
    assert [asked.fault for asked in proxy.asked if puts(asked)][:2] == [Fault.CONFLICT, None]
    assert store.read("commits/1-1/000000").read() == b"ours"
    proxy.once(Fault.CONFLICT, puts)
    with pytest.raises(KeyExists):
        store.create("commits/1-1/000000", b"ours")


def test_a_silent_server_is_asked_again(monkeypatch: pytest.MonkeyPatch, proxy: Proxy, name: str) -> None:
    monkeypatch.setattr(clients, "_ANSWER_SECONDS", 2.0)  # what takes longer by itself is just asked again
    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(part_size=5 << 20, transfers=2)])) as store:
        store.prepare()
        asks: list[Callable[[], object]] = [
            lambda: store.create("k", b"1"), lambda: store.stat("k"), lambda: store.read("k").read(), lambda: list(store.list()),
            lambda: store.write("large", io.BytesIO(DATA[: 6 << 20])),
        ]  # fmt: skip
        for ask in asks:
            proxy.asked.clear()
            proxy.once(Fault.SILENCE, lambda asked: True)
            ask()
            assert [asked.fault for asked in proxy.asked].count(Fault.SILENCE) == 1
        assert store.read("k").read() == b"1"
        proxy.once(Fault.STALLED, lambda asked: asked.method == "GET", times=2)
        assert store.read("large").read() == DATA[: 6 << 20]
        store.destroy()


def test_a_lost_answer_does_not_make_another_one_the_first(store: S3JobStore, proxy: Proxy) -> None:
    store.create("k", b"theirs")
    proxy.once(Fault.RESET, puts)
    with pytest.raises(KeyExists):
        store.create("k", b"ours")
    assert store.read("k").read() == b"theirs"


@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.RESET])
def test_what_passes_is_tried_again(store: S3JobStore, proxy: Proxy, fault: Fault) -> None:
    asks: list[Callable[[], object]] = [
        lambda: store.create("k", b"1"), lambda: store.stat("k"), lambda: store.read("k").read(), lambda: list(store.list())
    ]  # fmt: skip
    for number, ask in enumerate(asks):
        proxy.asked.clear()
        proxy.once(fault, lambda asked: True)
        assert ask() in (None, store.stat("k"), b"1", [store.stat("k")]), number
        assert [asked.fault for asked in proxy.asked[:2]] == [fault, None]


def test_what_is_tried_again_is_one_operation(store: S3JobStore, proxy: Proxy) -> None:
    proxy.once(Fault.LOST_ANSWER, lambda asked: True, times=2)
    store.write("k", io.BytesIO(b"1"))
    store.stat("k")
    assert [asked.method for asked in proxy.operations()] == ["PUT", "HEAD"]
    assert len(proxy.asked) >= 4


@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.RESET])
def test_what_does_not_pass_is_left_to_the_engine(proxy: Proxy, store: S3JobStore, fault: Fault) -> None:
    proxy.fault = lambda asked: fault
    with pytest.raises(Transient):
        store.create("k", b"1")
    assert 1 < len(proxy.asked) <= 4


@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.RESET, Fault.INTERNAL_ERROR, Fault.LOST_ANSWER])
def test_a_download_goes_on_where_it_broke_off(store: S3JobStore, proxy: Proxy, fault: Fault) -> None:
    store.write("large", io.BytesIO(DATA))
    proxy.asked.clear()
    broken: list[Asked] = []

    def breaks(asked: Asked) -> Fault | None:
        if asked.method == "GET" and asked.range and len(broken) < 3:
            broken.append(asked)
            return fault
        return None

    proxy.fault = breaks
    with store.read("large") as stream:
        assert stream.read() == DATA
    assert len(broken) == 3
    again = [asked for asked in proxy.asked if asked.fault is None and asked.range]
    if fault is Fault.TRUNCATED:  # no byte is asked for twice
        starts = [int(asked.range.removeprefix("bytes=").partition("-")[0]) for asked in again]
        assert any(start % (5 << 20) for start in starts)


@pytest.mark.parametrize("fault", [None, Fault.TRUNCATED, Fault.RESET, Fault.INTERNAL_ERROR])
def test_a_download_into_a_file_has_each_byte_where_it_belongs(store: S3JobStore, proxy: Proxy, tmp_path: Path, fault: Fault | None) -> None:
    data = DATA[:-13]
    store.write("large", io.BytesIO(data))
    broken: list[Asked] = []

    def breaks(asked: Asked) -> Fault | None:
        if asked.method == "GET" and len(broken) < 3:
            broken.append(asked)
            return fault
        return None

    proxy.fault = breaks
    with (tmp_path / "file").open("xb") as target, store.read("large") as stream:
        target.write(b"head")
        assert copy_checked(stream, target) == (len(data), zlib.crc32(data))
        assert stream.read() == b""
        target.write(b"tail")
    assert len(broken) == 3
    assert (tmp_path / "file").read_bytes() == b"head" + data + b"tail"


def test_a_range_and_what_was_begun_go_into_a_file_too(store: S3JobStore, tmp_path: Path) -> None:
    store.write("large", io.BytesIO(DATA))
    start, stop = (1 << 20) + 1, (19 << 20) + 2
    with (tmp_path / "range").open("xb") as target, store.read("large", start, stop) as stream:
        assert copy_checked(stream, target) == (stop - start, zlib.crc32(DATA[start:stop]))
    assert (tmp_path / "range").read_bytes() == DATA[start:stop]
    with (tmp_path / "rest").open("xb") as target, store.read("large") as stream:
        target.write(stream.read(7))
        assert copy_checked(stream, target) == (len(DATA) - 7, zlib.crc32(DATA[7:]))
    assert (tmp_path / "rest").read_bytes() == DATA


def test_a_download_into_a_file_holds_no_parts(real: Server, name: str, tmp_path: Path) -> None:
    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(part_size=5 << 20, transfers=4)])) as store:
        store.prepare()
        store.write("large", io.BytesIO(DATA))
        with (tmp_path / "file").open("xb") as target, store.read("large") as stream:
            tracemalloc.start()
            try:
                copy_stream(stream, target)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        store.destroy()
    assert peak < 5 << 20  # less than a single part


def test_a_download_into_a_file_that_fails_is_over(store: S3JobStore, proxy: Proxy, tmp_path: Path) -> None:
    store.write("large", io.BytesIO(DATA))
    proxy.fault = lambda asked: Fault.INTERNAL_ERROR if asked.range.startswith(f"bytes={10 << 20}-") else None
    with (tmp_path / "file").open("xb") as target, store.read("large") as stream, pytest.raises(Transient, match="InternalError|500"):
        copy_stream(stream, target)
    proxy.fault = lambda asked: None
    (tmp_path / "unwritable").touch()
    with (tmp_path / "unwritable").open("rb") as wrong, store.read("large") as stream, pytest.raises(OSError, match="Bad file descriptor"):
        stream.save(wrong.fileno(), 0, checked=True)  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("toil-s3_") and not joins(thread)]


def joins(thread: threading.Thread) -> bool:
    thread.join(30.0)
    return not thread.is_alive()


def test_a_blob_that_is_replaced_while_it_is_saved_is_told(store: S3JobStore, tmp_path: Path) -> None:
    store.write("k", io.BytesIO(DATA))
    with (tmp_path / "file").open("xb") as target, store.read("k") as stream:
        store.write("k", io.BytesIO(DATA[::-1]))
        with pytest.raises(StoreError, match="replaced"):
            copy_stream(stream, target)


def test_a_first_answer_that_is_cut_short_is_continued(store: S3JobStore, proxy: Proxy) -> None:
    store.write("small", io.BytesIO(DATA[:3_000_000]))
    proxy.once(Fault.TRUNCATED, lambda asked: asked.method == "GET")
    assert store.read("small").read() == DATA[:3_000_000]
    assert [asked.range for asked in proxy.operations() if asked.method == "GET"] == ["", "bytes=1500000-2999999"]


def test_a_blob_that_is_replaced_while_it_is_read_is_told(store: S3JobStore) -> None:
    store.write("k", io.BytesIO(DATA))
    with store.read("k") as stream:
        assert stream.read(1) == DATA[:1]
        store.write("k", io.BytesIO(DATA[::-1]))
        try:
            rest = stream.read()
        except StoreError as error:
            assert "replaced" in str(error)
        else:
            assert rest == DATA[1:]


def test_a_stream_that_failed_fails_again_when_it_is_read_on(store: S3JobStore) -> None:
    store.write("k", io.BytesIO(DATA[: 1 << 20]))
    place = {"Bucket": store._name, "Key": names.object_name("k")}
    with reader.opened(store._s3, place, store._verdict("k"), part=1 << 16, several=2) as stream:
        assert stream.read(1) == DATA[:1]
        store.delete(["k"])
        for _ in range(3):
            with pytest.raises(NoSuchKey):
                stream.read()


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.INTERNAL_ERROR, Fault.LOST_ANSWER])
def test_only_the_part_that_failed_is_sent_again(store: S3JobStore, proxy: Proxy, tmp_path: Path, fault: Fault) -> None:
    path = tmp_path / "large"
    path.write_bytes(DATA)
    proxy.once(fault, lambda asked: asked.query.get("partNumber") == "2")
    with path.open("rb") as stream:
        store.write("large", stream)
    parts = sorted(asked.query["partNumber"] for asked in proxy.operations() if "partNumber" in asked.query)
    assert parts == ["1", "2", "3", "4", "5"]
    assert [asked.fault for asked in proxy.asked if asked.query.get("partNumber") == "2"][:2] == [fault, None]
    assert store.read("large").read() == DATA


def test_a_file_that_becomes_shorter_while_it_is_sent_is_stored_by_nobody(store: S3JobStore, proxy: Proxy, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(DATA)

    def shortens(asked: Asked) -> Fault | None:
        if "uploads" in asked.query:
            os.truncate(path, len(DATA) - 100)
        return None

    proxy.fault = shortens
    with path.open("rb") as stream, pytest.raises(Transient):
        store.write("large", stream)
    proxy.fault = lambda asked: None
    assert list(store.list()) == []
    with path.open("rb") as stream:
        store.write("large", stream)
    assert store.read("large").read() == DATA[:-100]


def test_an_upload_that_fails_leaves_no_parts(store: S3JobStore, proxy: Proxy, tmp_path: Path) -> None:
    proxy.fault = lambda asked: Fault.INTERNAL_ERROR if asked.query.get("partNumber") == "3" else None
    path = tmp_path / "large"
    path.write_bytes(DATA)
    with path.open("rb") as stream, pytest.raises(Transient):
        store.write("large", stream)
    assert store._s3.list_multipart_uploads(Bucket=store._name).get("Uploads", []) == []
    assert list(store.list()) == []


def test_memory_is_bounded_while_parts_of_a_stream_move(real: Server, name: str) -> None:
    class Long(io.RawIOBase):
        left = 150 << 20

        def read(self, size: int = -1, /) -> bytes:
            data = bytes(min(size, self.left))
            self.left -= len(data)
            return data

    with S3JobStore(f"us-west-2:{name}", Config([AwsOptions(transfers=2)])) as store:
        store.prepare()
        tracemalloc.start()
        try:
            store.write("k", Long())  # type: ignore[arg-type]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert store.stat("k").size == 150 << 20
        assert peak < 110 << 20
        tracemalloc.start()
        try:
            with store.read("k") as stream:
                assert sum(map(len, iter(lambda: stream.read(1 << 20), b""))) == 150 << 20
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 36 << 20  # two parts that come and one that is read, which take turns in the same memory
        store.destroy()


def test_a_workflow_gets_through_a_bad_network(proxy: Proxy, tmp_path: Path, name: str) -> None:
    chance = random.Random(5)
    proxy.fault = lambda asked: chance.choice(PASSING) if chance.random() < 0.1 else None
    script = """
        from toil_core import File, job, main

        @job(memory="128 MiB", cores=0.5)
        def square(job, number: int, text: File):
            return number * number + len(job.files.read(text).read_text())

        @job(memory="128 MiB", cores=0.5)
        def total(job, numbers: list[int]):
            return sum(numbers)

        @job(memory="128 MiB", cores=0.5)
        def root(job, count: int = 12):
            text = job.files.write("x")
            return job.add_follow_on(total([job.add_child(square(number, text)) for number in range(count)]))

        if __name__ == "__main__":
            main(root)
        """
    done = run_script(tmp_path, script, f"aws:us-west-2:{name}", "--retry-count", "3", "--retry-backoff-seconds", "0")
    assert done.stdout.strip() == str(sum(number * number + 1 for number in range(12)))
    assert sum(asked.fault is not None for asked in proxy.asked) >= 5
