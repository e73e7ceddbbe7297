"""The job store contract as tests: subclass, give a store, get every case.

    class TestMyStore(JobStoreContract):
        @pytest.fixture
        def store(self) -> Iterator[JobStore]:
            yield MyJobStore("somewhere-unused", Config())

Cases for optional abilities skip themselves when the driver has none of them.
"""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from toil_core.errors import BadKey, KeyExists, NoSuchKey, ToilError
from toil_core.job_store import HasPaths, HasWorkerLocator, JobStore
from toil_core.testing.job_store_abilities import SECONDS, JobStoreAbilities, read

KEYS = [
    "a",
    "deep/er/key",
    "commits/1-42/000000",
    "files/1-42/0.7/0/reads.fastq.gz",
    "sp ace/ begins and ends ",
    "uni-ß☃/日本語/𝔘",
    "dots../...a/.hidden",
    "files/.a/.b",
    "comma,/a,b/%2C%/+&=?#*:|\\<>\"'`$;[]{}~!@^",
    "x" * 200,
    "files/" + "y" * 250 + ".fastq/" + "z" * 255,
    "ä" * 500,
    "." * 300 + "a",
]
"""Keys that drivers have got wrong; all are allowed."""

BAD_KEYS = ["", "/", "/absolute", "a//b", "a/", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "nul\0", "new\nline", "tab\t", "\ud800", "k" * 1025]
"""Keys that every driver refuses."""

_RACER = """
import sys
from toil_core.errors import KeyExists
from toil_core.options import Config
from toil_core.plugins import open_job_store

with open_job_store(sys.argv[1], Config()) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    for number in range(int(sys.argv[3])):
        try:
            store.create(f"race/{number}", sys.argv[2].encode())
        except KeyExists:
            continue
        won.append(number)
    print(*won, flush=True)
"""


class JobStoreContract(JobStoreAbilities):
    """Every promise of `toil_core.job_store`, as one test each.

    Override `store`; where other processes can reach the same store, also `locator`, and
    where a second object for the same store can be made, also `reopen`.
    """

    keys: Sequence[str] = tuple(KEYS)
    """Keys that the store must take: all, unless a server behind it, which is not the driver's, has limits of its own."""
    page = 1100
    """More keys than the back end lists at once."""
    large = 8 << 20
    """Bytes of a large blob."""

    @pytest.fixture
    def store(self) -> Iterator[JobStore]:
        """A store that was never prepared; its place is not used by any other test."""
        raise NotImplementedError("override the store fixture")

    @pytest.fixture
    def locator(self, store: JobStore) -> str:
        """The store's locator, with its driver's name, as other processes use it."""
        if isinstance(store, HasWorkerLocator):
            return store.worker_locator()
        pytest.skip("no locator given")

    @pytest.fixture
    def reopen(self) -> Callable[[], JobStore]:
        """Opens the store of this test once more."""
        pytest.skip("no second opener given")

    @pytest.fixture(autouse=True)
    def _cleaned(self, store: JobStore) -> Iterator[None]:
        store.prepare()
        store.prepare()
        yield
        store.destroy()
        store.destroy()
        store.close()

    # What is stored is there

    def test_a_new_store_is_empty(self, store: JobStore) -> None:
        assert list(store.list()) == []

    @pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
    def test_any_key_can_be_used(self, store: JobStore, key: str) -> None:
        if key not in self.keys:
            pytest.skip("the server behind this store has no such keys")
        store.create(key, b"one")
        assert read(store, key) == b"one"
        assert store.stat(key).key == key
        assert [(blob.key, blob.size) for blob in store.list()] == [(key, 3)]
        store.write(key, io.BytesIO(b"other"))
        assert read(store, key) == b"other"
        store.delete([key])
        assert list(store.list()) == []

    def test_keys_that_look_alike_are_different(self, store: JobStore) -> None:
        keys = [*self.keys, "A", "a/b", "a/b/c", "a,b", "a%2Cb", "a%2cb", "a%b", "deep/er", "deep", "files", "files/x", "files/x/y", "files/x,y", "é", "e\u0301"]
        for key in keys:
            store.create(key, key.encode())
        assert sorted(blob.key for blob in store.list()) == sorted(keys)
        assert [read(store, key).decode() for key in keys] == keys

    @pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
    def test_bad_keys_are_refused(self, store: JobStore, key: str) -> None:
        asks: list[Callable[[], object]] = [
            lambda: store.create(key, b""),
            lambda: store.write(key, io.BytesIO()),
            lambda: store.read(key),
            lambda: store.stat(key),
            lambda: store.delete([key]),
        ]
        if isinstance(store, HasPaths):
            asks.append(lambda: store.path(key))
        for ask in asks:
            with pytest.raises(BadKey):
                ask()
        assert list(store.list()) == []

    @pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1 << 20])
    def test_any_size_can_be_stored(self, store: JobStore, size: int) -> None:
        data = _pattern(size)
        store.create("created", data)
        store.write("written", io.BytesIO(data))
        for key in ("created", "written"):
            assert read(store, key) == data
            assert store.stat(key).size == size
        assert {blob.size for blob in store.list()} == {size}

    def test_a_large_blob_is_streamed_back(self, store: JobStore) -> None:
        data = _pattern(self.large)
        store.write("large", io.BytesIO(data))
        store.create("created", data)
        with store.read("large") as stream:
            got = b"".join(iter(lambda: stream.read(100_000), b""))
        assert got == data
        assert read(store, "large", self.large - 3) == data[-3:]
        assert read(store, "large", 5, self.large - 5) == data[5:-5]
        assert read(store, "created") == data

    def test_a_stream_may_give_little_at_a_time(self, store: JobStore) -> None:
        class Drips(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(min(7, size) if size and size > 0 else size)

        store.write("k", Drips(_pattern(1000)))
        assert read(store, "k") == _pattern(1000)

    @pytest.mark.parametrize(
        ("start", "stop", "want"),
        [(0, 3, b"012"), (3, None, b"3456789"), (2, 5, b"234"), (0, 0, b""), (5, 5, b""), (7, 3, b""), (8, 99, b"89"), (10, None, b""), (10, 20, b""), (99, None, b""), (99, 100, b"")],
    )
    def test_a_range_is_read(self, store: JobStore, start: int, stop: int | None, want: bytes) -> None:
        store.create("k", b"0123456789")
        assert read(store, "k", start, stop) == want

    def test_missing_keys_are_named(self, store: JobStore) -> None:
        looks: list[Callable[[str], object]] = [store.read, store.stat, lambda key: store.read(key, 5, 6)]
        for key in ("absent", "not/there/at all", "files/not/there"):
            for look in looks:
                with pytest.raises(NoSuchKey) as raised:
                    look(key)
                assert raised.value.key == key

    # One writer is first, and blobs are whole

    def test_only_the_first_create_wins(self, store: JobStore) -> None:
        store.create("k", b"first")
        with pytest.raises(KeyExists) as raised:
            store.create("k", b"second")
        assert raised.value.key == "k"
        store.write("w", io.BytesIO(b"first"))
        with pytest.raises(KeyExists):
            store.create("w", b"second")
        assert [read(store, key) for key in ("k", "w")] == [b"first", b"first"]

    def test_one_of_many_racing_threads_wins(self, store: JobStore) -> None:
        def attempt(number: int) -> bool:
            try:
                store.create("new folder/race", str(number).encode() * 1000)
            except KeyExists:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            won = [number for number, ok in enumerate(pool.map(attempt, range(64))) if ok]
        assert len(won) == 1
        assert read(store, "new folder/race") == str(won[0]).encode() * 1000

    def test_one_of_many_racing_processes_wins(self, store: JobStore, locator: str) -> None:
        keys, racers = 100, []
        try:
            for name in ("a", "b", "c"):
                command = [sys.executable, "-c", _RACER, locator, name, str(keys)]
                racers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for racer in racers:
                assert racer.stdout and racer.stdout.readline() == "ready\n"
            for racer in racers:
                assert racer.stdin
                racer.stdin.write("go\n")
                racer.stdin.flush()
            won = {name: racer.communicate(timeout=SECONDS)[0].split() for name, racer in zip("abc", racers, strict=True)}
        finally:
            for racer in racers:
                racer.kill()
                racer.communicate()
        assert sorted(int(number) for numbers in won.values() for number in numbers) == list(range(keys))
        for name, numbers in won.items():
            assert {read(store, f"race/{number}") for number in numbers} <= {name.encode()}

    def test_a_create_that_races_a_write_is_whole(self, store: JobStore) -> None:
        long, short = _pattern(200_000), b"short"
        with ThreadPoolExecutor(2) as pool:
            for number in range(20):
                creating = pool.submit(store.create, f"race/{number}", long)
                pool.submit(store.write, f"race/{number}", io.BytesIO(short)).result(SECONDS)
                try:
                    creating.result(SECONDS)
                except KeyExists:
                    assert read(store, f"race/{number}") == short
                else:
                    assert read(store, f"race/{number}") in (long, short)

    def test_write_replaces(self, store: JobStore) -> None:
        store.write("k", io.BytesIO(b"older and longer"))
        store.write("k", io.BytesIO(b"new"))
        assert read(store, "k") == b"new"
        assert store.stat("k").size == 3
        assert len(list(store.list())) == 1

    @pytest.mark.parametrize("given", [0, 10, 9 << 20])
    def test_a_failed_write_leaves_no_trace(self, store: JobStore, given: int) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                data = super().read(size)
                if self.tell() < given or (data and size and size > 0):
                    return data
                raise OSError("pulled plug")

        store.write("old", io.BytesIO(b"old"))
        for key in ("old", "new"):
            with pytest.raises(Exception, match="pulled plug"):
                store.write(key, Broken(_pattern(given)))
        assert read(store, "old") == b"old"
        assert [blob.key for blob in store.list()] == ["old"]

    def test_readers_see_whole_blobs_while_one_writes(self, store: JobStore) -> None:
        versions = [bytes([65 + number]) * (1000 + 70_000 * number) for number in range(4)]
        store.write("k", io.BytesIO(versions[0]))
        begun, done = threading.Barrier(3, timeout=SECONDS), threading.Event()

        def watch() -> set[bytes]:
            seen = {read(store, "k")}
            begun.wait()
            while not done.is_set():
                seen.add(read(store, "k"))
            return seen

        with ThreadPoolExecutor(2) as pool:
            watching = [pool.submit(watch) for _ in range(2)]
            try:
                begun.wait()
                for number in range(40):
                    store.write("k", io.BytesIO(versions[number % 4]))
            finally:
                done.set()
            for seen in watching:
                assert seen.result(SECONDS) <= set(versions)

    def test_a_stream_outlives_its_blob_or_fails_clearly(self, store: JobStore) -> None:
        data = _pattern(1 << 20)
        store.write("k", io.BytesIO(data))
        with store.read("k") as stream:
            start = stream.read(10)
            store.write("k", io.BytesIO(b"other"))
            store.delete(["k"])
            try:
                rest = stream.read()
            except ToilError:
                return
        assert start + rest == data

    # Deleting and listing

    def test_delete_forgets_and_forgives(self, store: JobStore) -> None:
        for key in ("k", "files/1/name", "kept"):
            store.create(key, b"")
        store.delete(iter(["k", "never", "files/1/name", "files/2/name", "no/such/folder", "k"]))
        store.delete([])
        for key in ("k", "files/1/name"):
            with pytest.raises(NoSuchKey):
                store.stat(key)
        assert [blob.key for blob in store.list()] == ["kept"]
        store.create("k", b"again")
        store.create("files/1/name", b"again")
        assert read(store, "files/1/name") == b"again"

    def test_list_by_prefix(self, store: JobStore) -> None:
        keys = ["jobs/1", "jobs/2", "jobs/2/3", "jobsx", "files/1/2/3", "files/1/23", "files/12/3", "odd,/%/x"]
        for key in keys:
            store.create(key, b"1234")
        for prefix in ["", "j", "job", "jobs", "jobs/", "jobs/2", "jobs/2/", "files", "files/", "files/1", "files/1/", "files/1/2", "files/1/2/", "odd,", "odd,/%/x", "none/", "jobs/1/", "../", "/", "j\0"]:
            assert sorted(blob.key for blob in store.list(prefix)) == sorted(key for key in keys if key.startswith(prefix)), prefix
        assert {blob.size for blob in store.list("jobs/")} == {4}

    def test_more_keys_than_a_page(self, store: JobStore) -> None:
        keys = {f"many/{number}" for number in range(self.page)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.create(key, b""), sorted(keys)))
        found = [blob.key for blob in store.list("many/")]
        assert len(found) == self.page
        assert set(found) == keys
        store.delete(blob.key for blob in store.list("many/"))
        assert list(store.list()) == []

    def test_listing_survives_deletion(self, store: JobStore) -> None:
        keys = [f"gone/{number}" for number in range(50)]
        for key in [*keys, "gone/kept", "files/kept/a"]:
            store.create(key, b"")
        with ThreadPoolExecutor(1) as pool:
            deleting = pool.submit(lambda: [store.delete([key, f"files/{key}"]) for key in keys])
            while not deleting.done():
                assert {"gone/kept", "files/kept/a"} <= {blob.key for blob in store.list()} <= {*keys, "gone/kept", "files/kept/a"}
            deleting.result()
        assert {blob.key for blob in store.list()} == {"gone/kept", "files/kept/a"}

    def test_listing_survives_creation(self, store: JobStore) -> None:
        store.create("new/kept", b"1")
        with ThreadPoolExecutor(1) as pool:
            creating = pool.submit(lambda: [store.create(f"new/{number}", b"1") for number in range(50)])
            while not creating.done():
                blobs = list(store.list("new/"))
                assert "new/kept" in {blob.key for blob in blobs}
                assert {blob.size for blob in blobs} == {1}
            creating.result()
        assert len(list(store.list("new/"))) == 51

    def test_folders_that_come_and_go_lose_nothing(self, store: JobStore) -> None:
        def churn(name: str) -> None:
            for _ in range(50):
                store.create(f"files/shared/{name}", b"x")
                assert read(store, f"files/shared/{name}") == b"x"
                store.delete([f"files/shared/{name}"])

        with ThreadPoolExecutor(4) as pool:
            done, _ = wait([pool.submit(churn, name) for name in "abcd"], SECONDS)
        assert [future.exception() for future in done] == [None] * 4

    # The place itself

    def test_another_opener_sees_everything_at_once(self, store: JobStore, reopen: Callable[[], JobStore]) -> None:
        with reopen() as other:
            with pytest.raises(NoSuchKey):
                other.stat("k")
            store.create("k", b"1")
            assert read(other, "k") == b"1"
            with pytest.raises(KeyExists):
                other.create("k", b"2")
            other.write("k", io.BytesIO(b"333"))
            assert store.stat("k").size == 3
            assert [blob.size for blob in store.list()] == [3]
            store.delete(["k"])
            assert list(other.list()) == []

    def test_a_closed_store_keeps_its_blobs(self, store: JobStore, reopen: Callable[[], JobStore]) -> None:
        first = reopen()
        first.create("k", b"kept")
        first.close()
        first.close()
        assert read(store, "k") == b"kept"

    def test_destroy_and_prepare_begin_anew(self, store: JobStore) -> None:
        for key in ("a/b/c", "files/a/b", "d"):
            store.create(key, b"old")
        store.destroy()
        store.destroy()
        store.prepare()
        assert list(store.list()) == []
        store.create("d", b"new")
        assert read(store, "d") == b"new"

    def test_many_may_prepare_and_destroy_at_once(self, store: JobStore) -> None:
        store.destroy()
        with ThreadPoolExecutor(4) as pool:
            for ask in (store.prepare, store.destroy, store.prepare):
                for asked in [pool.submit(ask) for _ in range(8)]:
                    asked.result(SECONDS)
        store.create("k", b"1")
        assert read(store, "k") == b"1"

    def test_prepare_keeps_what_is_stored(self, store: JobStore) -> None:
        store.create("k", b"kept")
        store.prepare()
        assert read(store, "k") == b"kept"


def _pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]
