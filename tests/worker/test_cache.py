"""The node's cache: raced by processes that are killed, short of room, on file systems that cannot do much."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.worker.without_paths import WithoutPaths
from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.options import Config
from toil_core.worker.cache import Cache
from toil_core.worker.cache_ledger import Ledger
from toil_core.workflow import file_copy
from toil_core.workflow.file_access import Way
from toil_core.workflow.files import File, Files

SIZE = 1 << 20


def make_cache(folder: Path, limit: int = 1 << 40) -> Cache:
    for part in ("entries", "filling"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Ledger(str(folder)).begin(limit, replace=True)
    return Cache(str(folder))


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "entries"))


def nothing_half_made(folder: Path) -> bool:
    return os.listdir(folder / "filling") == []


def fetching(content: bytes, log: list[int] | None = None) -> Callable[[BinaryIO], None]:
    def fetch(target: BinaryIO) -> None:
        if log is not None:
            log.append(len(content))
        target.write(content)

    return fetch


def gone(target: BinaryIO) -> None:
    raise OSError(errno.ENOENT, "it is no longer in the cache")


def refusing(target: BinaryIO) -> None:
    raise AssertionError("it was fetched again")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Cache:
    return make_cache(folder)


class Node:
    """Attempts on one node: each with its own folder, all with one cache and one store.

    Args:
        folder: Where everything lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = WithoutPaths(folder)
        self.cached = folder / "cache"
        make_cache(self.cached)
        self._attempts = 0

    def files(self, *, cached: bool = True) -> Files:
        """The files as a new attempt sees them."""
        self._attempts += 1
        tmp = self.folder / f"tmp-{os.getpid()}-{self._attempts}"
        tmp.mkdir()
        return Files(self.store, f"files/1-{self._attempts}/0.0/", tmp, Config(), Cache(str(self.cached)) if cached else None)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def fork(action: Callable[[], object]) -> int:
    """Do something in a process of its own, which ends with 0 when it went well."""
    pid = os.fork()
    if not pid:
        code = 1
        signal.alarm(60)  # it is gone too when the test has failed
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Gate:
    """A pipe that processes wait at, and one on which they say that they are there."""

    def __init__(self) -> None:
        self._here, self._there = os.pipe(), os.pipe()

    def arrive(self) -> None:
        os.write(self._there[1], b"x")

    def arrived(self) -> None:
        assert os.read(self._there[0], 1) == b"x"

    def wait(self) -> None:
        assert os.read(self._here[0], 1) == b"x"

    def open(self) -> None:
        os.write(self._here[1], b"x" * 64)


def test_eight_readers_fetch_once(node: Node) -> None:
    content = os.urandom(SIZE)
    file = node.files(cached=False).write(content, "reads.fq")
    gate = Gate()

    def read() -> None:
        files = node.files()
        gate.wait()
        assert files.read(file).read_bytes() == content

    readers = [fork(read) for _ in range(8)]
    gate.open()
    assert [exit_code(pid) for pid in readers] == [0] * 8
    assert node.store.reads == [file.key]
    assert len(entries(node.cached)) == 1
    assert nothing_half_made(node.cached)


def test_those_who_wait_get_what_the_first_one_fetches(node: Node) -> None:
    file = node.files(cached=False).write(b"x" * SIZE)
    gate = Gate()

    def wait_in_the_middle(key: str) -> None:
        gate.arrive()
        gate.wait()

    def first() -> None:
        node.store.on_read = wait_in_the_middle
        node.files().read(file)

    filler = fork(first)
    gate.arrived()
    readers = [fork(lambda: node.files().read(file)) for _ in range(3)]
    gate.open()
    assert [exit_code(pid) for pid in (filler, *readers)] == [0] * 4
    assert node.store.reads == [file.key]


def test_when_the_filler_is_killed_one_of_those_who_wait_goes_on(node: Node) -> None:
    content = os.urandom(SIZE)
    file = node.files(cached=False).write(content)
    gate = Gate()

    def fill_half(target: BinaryIO) -> None:
        target.write(content[: SIZE // 2])
        target.flush()
        gate.arrive()
        gate.wait()

    def first() -> None:
        Cache(str(node.cached)).provide(file.key, SIZE, 0o444, node.folder / "never", Way.LINK, fill_half)

    filler = fork(first)
    gate.arrived()
    assert not entries(node.cached)

    def read() -> None:
        assert node.files().read(file).read_bytes() == content

    readers = [fork(read) for _ in range(3)]
    os.kill(filler, signal.SIGKILL)
    assert exit_code(filler) == -signal.SIGKILL
    assert [exit_code(pid) for pid in readers] == [0] * 3
    assert node.store.reads == [file.key]
    assert nothing_half_made(node.cached)


def test_threads_of_one_process_fetch_once(node: Node) -> None:
    file = node.files(cached=False).write(b"x" * SIZE)
    attempts = [node.files() for _ in range(6)]
    threads = [threading.Thread(target=files.read, args=(file,)) for files in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert node.store.reads == [file.key]


def test_a_process_forked_meanwhile_does_not_keep_the_others_waiting(cache: Cache, tmp_path: Path) -> None:
    gate = Gate()
    forked: list[int] = []

    def fetch(target: BinaryIO) -> None:
        target.write(b"abc")
        forked.append(fork(gate.wait))

    assert cache.provide("files/1", 3, 0o444, tmp_path / "a", Way.LINK, fetch)
    assert cache.put("files/1", b"abc", 0o444)
    assert cache.provide("files/1", 3, 0o444, tmp_path / "b", Way.LINK, refusing)
    gate.open()
    assert exit_code(forked[0]) == 0


def test_what_was_written_on_the_node_is_not_fetched(node: Node, tmp_path: Path) -> None:
    source = tmp_path / "x.txt"
    source.write_text("path")
    writer = node.files()
    with writer.create("created") as out:
        out.write(b"created")
    files = {
        "content": writer.write("content"),
        "created": out.file,
        "path": writer.write(source),
    }
    moved = tmp_path / "moved"
    moved.write_text("moved")
    files["moved"] = writer.write(moved, move=True)
    assert not moved.exists()
    reader = node.files()
    for content, file in files.items():
        assert reader.read(file).read_text() == content
        with reader.open(file, encoding="utf-8") as stream:
            assert stream.read() == content
        assert node.store.stat(file.key).size == len(content)
    assert node.store.reads == []


def test_a_job_that_changes_its_file_after_writing_changes_nothing(node: Node, tmp_path: Path) -> None:
    source = tmp_path / "x.txt"
    source.write_text("before")
    file = node.files().write(source)
    source.write_text("after!")
    assert node.files().read(file).read_text() == "before"
    linked = tmp_path / "y.txt"
    linked.write_text("before")
    os.link(linked, tmp_path / "other")
    moved = node.files().write(linked, move=True)
    (tmp_path / "other").write_text("after!")
    assert node.files().read(moved).read_text() == "before"
    assert node.store.reads == []


def test_an_attempt_repeated_under_the_same_keys_replaces_what_it_wrote(cache: Cache, folder: Path, tmp_path: Path) -> None:
    cache.put("files/1", b"old", 0o444)
    cache.put("files/1", b"new", 0o444)
    assert cache.provide("files/1", 3, 0o444, tmp_path / "a", Way.LINK, refusing)
    assert (tmp_path / "a").read_bytes() == b"new"
    full = make_cache(folder, limit=0)
    assert not full.put("files/1", b"last", 0o444)
    assert entries(folder) == []


def test_readers_share_the_bytes_and_cannot_write(node: Node) -> None:
    file = node.files().write(b"x" * SIZE)
    one, other = node.files().read(file), node.files().read(file)
    assert one.stat().st_ino == other.stat().st_ino
    assert one.stat().st_mode & 0o777 == 0o444
    own = node.files().copy(file)
    assert own.stat().st_ino != one.stat().st_ino
    own.write_bytes(b"")
    assert node.files().read(file).stat().st_size == SIZE


def test_an_entry_that_somebody_changed_is_fetched_again(node: Node) -> None:
    file = node.files().write(b"right")
    path = node.files().read(file)
    for wrong in (b"wrong", b"", b"longer than before"):
        path.chmod(0o644)
        path.write_bytes(wrong)
        path = node.files().read(file)
        assert path.read_bytes() == b"right"
    assert node.store.reads == [file.key] * 3


def test_a_stored_file_that_was_altered_is_never_kept(node: Node) -> None:
    file = node.files(cached=False).write(b"right")
    wrong = File(file.key, file.size, file.name, file.executable, 1)
    for use in (node.files().read, node.files().copy):
        with pytest.raises(CorruptBlob, match="another content than was written"):
            use(wrong)
    assert entries(node.cached) == []
    assert nothing_half_made(node.cached)
    assert node.files().read(file).read_bytes() == b"right"


def test_a_file_that_is_gone_leaves_nothing(node: Node) -> None:
    file = node.files(cached=False).write(b"x")
    node.store.delete([file.key])
    with pytest.raises(NoSuchKey, match="was it deleted"):
        node.files().read(file)
    assert nothing_half_made(node.cached)


def test_any_key_has_an_entry(cache: Cache, tmp_path: Path) -> None:
    keys = ["files/a", "files/A", "files/é", "files/" + "x" * 1000, "files/" + "x" * 999]
    for key in keys:
        assert cache.put(key, key.encode(), 0o444)
    for number, key in enumerate(keys):
        assert cache.provide(key, len(key.encode()), 0o444, tmp_path / str(number), Way.LINK, refusing)
        assert (tmp_path / str(number)).read_bytes() == key.encode()


# Room


def test_what_was_not_used_for_longest_makes_room(folder: Path, tmp_path: Path) -> None:
    cache = make_cache(folder, limit=4 * SIZE)
    for number in range(3):
        assert cache.put(f"files/{number}", bytes([number]) * SIZE, 0o444)
    stream = cache.open("files/0", SIZE)
    assert stream is not None
    stream.close()
    assert cache.put("files/3", b"x" * SIZE, 0o444)
    assert cache.put("files/4", b"y" * SIZE, 0o444)
    left = [cache.provide(f"files/{number}", SIZE, 0o444, tmp_path / str(number), Way.OWN, gone) for number in range(5)]
    assert left == [True, False, False, True, True]


def test_what_is_in_use_stays(folder: Path, tmp_path: Path) -> None:
    cache = make_cache(folder, limit=2 * SIZE)
    used = tmp_path / "used"
    assert cache.provide("files/used", SIZE, 0o444, used, Way.LINK, fetching(b"u" * SIZE))
    for number in range(5):
        assert cache.provide(f"files/{number}", SIZE // 2, 0o444, tmp_path / "x", Way.LINK, fetching(b"x" * (SIZE // 2)))
        (tmp_path / "x").unlink()
    assert cache.provide("files/used", SIZE, 0o444, tmp_path / "again", Way.LINK, refusing)
    assert sum(path.stat().st_size for path in (folder / "entries").iterdir()) <= 2 * SIZE


def test_without_room_nothing_is_cached_and_nothing_fails(node: Node) -> None:
    make_cache(node.cached, limit=SIZE)
    files = [node.files(cached=False).write(b"x" * SIZE) for _ in range(2)]
    held = node.files().read(files[0])
    assert node.files().read(files[1]).stat().st_size == SIZE
    assert node.files().copy(files[1]).stat().st_size == SIZE
    assert node.store.reads == [files[0].key, files[1].key, files[1].key]
    assert held.exists()
    assert len(entries(node.cached)) == 1
    assert nothing_half_made(node.cached)
    make_cache(node.cached, limit=0)
    assert node.files().write(b"abc").size == 3


def test_room_is_made_while_others_read(folder: Path, tmp_path: Path) -> None:
    make_cache(folder, limit=3 * SIZE)

    def read(start: int) -> None:
        cache = Cache(str(folder))
        for number in range(60):
            content = bytes([(start + number) % 8]) * SIZE
            target = tmp_path / f"{start}-{number}"
            if not cache.provide(f"files/{content[0]}", SIZE, 0o444, target, Way.LINK, fetching(content)):
                target.write_bytes(content)
            assert target.read_bytes() == content
            target.unlink()

    readers = [fork(lambda start=start: read(start)) for start in (0, 3, 5)]  # type: ignore[misc]
    assert [exit_code(pid) for pid in readers] == [0] * 3
    assert sum(path.stat().st_size for path in (folder / "entries").iterdir()) <= 3 * SIZE
    assert nothing_half_made(folder)


def test_what_killed_processes_left_makes_room(folder: Path, tmp_path: Path) -> None:
    cache = make_cache(folder, limit=2 * SIZE)

    def die(target: BinaryIO) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_while_putting() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "rename", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            cache.put("files/1", b"x" * SIZE, 0o444)

    for action in (lambda: cache.provide("files/0", SIZE, 0o444, tmp_path / "a", Way.LINK, die), die_while_putting):
        assert exit_code(fork(action)) == -signal.SIGKILL
    assert len(os.listdir(folder / "filling")) == 2
    assert cache.put("files/2", b"x" * SIZE, 0o444)
    assert nothing_half_made(folder)
    assert cache.put("files/3", b"x" * (SIZE // 2), 0o444)
    assert len(entries(folder)) == 2


# What file systems cannot do


def failing(patch: pytest.MonkeyPatch, name: str, *errors: int) -> None:
    """Let a call of the system fail with each of these errors in turn, and with the last from then on."""
    left = list(errors)

    def call(*_: Any, **__: Any) -> None:
        number = left.pop(0) if len(left) > 1 else left[0]
        raise OSError(number, os.strerror(number))

    patch.setattr(os, name, call)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.EACCES])
def test_without_hard_links(node: Node, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    file = node.files().write("abc", "x.txt")
    failing(monkeypatch, "link", error)
    files = node.files()
    linked = files.read(file)
    assert linked.read_text() == "abc"
    assert linked.is_symlink()
    copied = files.read(file, symlink=False)
    assert copied.read_text() == "abc"
    assert not copied.is_symlink()
    assert copied.stat().st_mode & 0o777 == 0o444
    assert copied.stat().st_ino != linked.stat().st_ino
    assert node.store.reads == []


def test_too_many_links_are_too_many_for_one_file_only(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put("files/1", b"abc", 0o444)
    real = os.link
    failing(monkeypatch, "link", errno.EMLINK)
    assert cache.provide("files/1", 3, 0o444, tmp_path / "a", Way.FILE, refusing)
    monkeypatch.setattr(os, "link", real)
    assert cache.provide("files/1", 3, 0o444, tmp_path / "b", Way.FILE, refusing)
    assert (tmp_path / "a").stat().st_nlink == 1
    assert (tmp_path / "b").stat().st_nlink == 2


def test_blocks_are_shared_where_they_can_be(cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    cache.put("files/1", b"abc", 0o444)
    failing(monkeypatch, "link", errno.EPERM)
    cloned: list[int] = []

    def clone(target: int, request: int, source: int) -> None:
        cloned.append(request)
        os.write(target, os.pread(source, 3, 0))

    monkeypatch.setattr(fcntl, "ioctl", clone)
    assert cache.provide("files/1", 3, 0o444, tmp_path / "a", Way.LINK, refusing)
    assert cloned == [file_copy._CLONE]
    assert (tmp_path / "a").read_bytes() == b"abc"
    assert not (tmp_path / "a").is_symlink()


def test_a_symbolic_link_keeps_its_entry_as_long_as_its_process_lives(folder: Path, tmp_path: Path) -> None:
    cache = make_cache(folder, limit=SIZE)
    cache.put("files/1", b"x" * SIZE, 0o444)
    there, done = Gate(), Gate()

    def hold() -> None:
        with pytest.MonkeyPatch.context() as patch:
            failing(patch, "link", errno.EPERM)
            assert cache.provide("files/1", SIZE, 0o444, tmp_path / "a", Way.LINK, refusing)
            assert (tmp_path / "a").is_symlink()
        there.arrive()
        done.wait()

    holder = fork(hold)
    there.arrived()
    assert not cache.put("files/2", b"y", 0o444)
    assert (tmp_path / "a").stat().st_size == SIZE
    done.open()
    assert exit_code(holder) == 0
    assert cache.put("files/2", b"y", 0o444)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("call", "error"), [("rename", errno.EIO), ("utime", errno.EPERM), ("statvfs", errno.EIO)])
def test_a_broken_cache_is_as_good_as_none(node: Node, monkeypatch: pytest.MonkeyPatch, call: str, error: int) -> None:
    file = node.files(cached=False).write("abc")
    failing(monkeypatch, call, error)
    assert node.files().read(file).read_text() == "abc"
    assert node.files().copy(file).read_text() == "abc"
    assert node.files().write("abc").size == 3


def test_locks_that_the_file_system_does_not_have(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    file = node.files(cached=False).write("abc")
    monkeypatch.setattr(fcntl, "flock", flock)
    assert node.files().read(file).read_text() == "abc"


def test_an_entry_that_became_another_users(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    file = node.files().write("abc")
    failing(monkeypatch, "utime", errno.EPERM)
    assert node.files().read(file).stat().st_nlink == 2
    assert node.store.reads == []


def test_a_full_disk_while_fetching(cache: Cache, folder: Path, tmp_path: Path) -> None:
    def fetch(target: BinaryIO) -> None:
        raise OSError(errno.ENOSPC, "full")

    assert not cache.provide("files/1", 3, 0o444, tmp_path / "a", Way.LINK, fetch)
    assert not (tmp_path / "a").exists()
    assert nothing_half_made(folder)


def test_a_disk_that_is_nearly_full_is_left_alone(cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.put("files/1", b"abc", 0o444)
    real = os.statvfs(folder)
    full = os.statvfs_result((*real[:4], 0, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert not cache.put("files/2", b"abc", 0o444)
    assert entries(folder) == []


def test_a_cache_that_vanished(node: Node) -> None:
    import shutil

    file = node.files().write("abc")
    shutil.rmtree(node.cached)
    assert node.files().read(file).read_text() == "abc"
    with node.files().open(file) as stream:
        assert stream.read() == b"abc"
    assert node.files().write("abc").size == 3
