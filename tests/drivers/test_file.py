"""The file job store: the contract, and what only a folder can get wrong."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toil_core.drivers import file_layout
from toil_core.drivers.file import FileJobStore
from toil_core.drivers.file_names import decode, encode
from toil_core.errors import (
    BadLocator,
    KeyExists,
    NoSuchJobStore,
    NoSuchKey,
    NotAJobStore,
    StoreFull,
    StoreReadOnly,
    ToilError,
    Transient,
    UsageError,
)
from toil_core.job_store import CanSync, CanTidy, ChecksPlace, HasPaths, JobStore
from toil_core.options import Config
from toil_core.staged_names import staged_name
from toil_core.testing.job_store import JobStoreContract
from toil_core.testing.needs import remount, small_disk, under_permissions


class TestFileJobStore(JobStoreContract):
    abilities = (CanSync, CanTidy, ChecksPlace, HasPaths)

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[JobStore]:
        yield FileJobStore(str(tmp_path / "store"), Config())

    @pytest.fixture
    def locator(self, tmp_path: Path) -> str:
        return f"file:{tmp_path / 'store'}"

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], JobStore]:
        return lambda: FileJobStore(str(tmp_path / "store"), Config())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileJobStore]:
    with FileJobStore(str(tmp_path / "store"), Config()) as found:
        yield found


# Names


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/", exclude_categories=("C", "Z")), min_size=1, max_size=300), min_size=1, max_size=5
    )
)
@settings(max_examples=300, deadline=None)
def test_every_key_comes_back_from_its_path(parts: list[str]) -> None:
    key = "/".join(parts)
    assume(len(key.encode()) <= 1024 and not {".", ".."} & set(parts))
    names = encode(key).split(b"/")
    assert "".join(decode(name) for name in names) == key
    assert all(0 < len(name) <= 255 and not name.startswith(b".") for name in names)
    assert all(name.endswith((b",", b"%+")) for name in names[:-1])
    assert not names[-1].endswith((b",", b"%+"))


def test_commits_share_a_folder_and_user_files_keep_their_names() -> None:
    assert encode("commits/1-42/000000") == b"commits,/1-42,000000"
    assert encode("workflow") == b"workflow"
    assert encode("files/1-42/0.7/0/reads.fq.gz") == b"files,/1-42,0.7,0,/reads.fq.gz"


def test_only_folders_that_can_hold_a_prefix_are_read(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.prepare()
    for number in range(5):
        store.create(f"files/1-{number}/0/a", b"")
        store.create(f"logs/{number}/x", b"")
    read: list[str] = []
    scandir = os.scandir

    def noted(path: bytes) -> object:
        read.append(os.fsdecode(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert [blob.key for blob in store.list("files/1-3/")] == ["files/1-3/0/a"]
    assert [path.rpartition("/blobs")[2] for path in read] == ["", "/files,", "/files,/1-3,0,"]


# Making the folder


def test_a_folder_of_others_is_left_alone(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.txt").write_text("years of work")
    with pytest.raises(NotAJobStore, match="holds other things"):
        store.prepare()
    with pytest.raises(NotAJobStore, match="nothing was removed"):
        store.destroy()
    assert os.listdir(tmp_path / "store") == ["thesis.txt"]


def test_a_marker_of_others_is_not_ours(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "toil-job-store.json").write_text("{}")
    for ask in (store.prepare, store.destroy):
        with pytest.raises(NotAJobStore):
            ask()
    (tmp_path / "store" / "toil-job-store.json").write_text('{"toil job store": 99}')
    for ask in (store.prepare, store.destroy):
        with pytest.raises(UsageError, match="another version"):
            ask()


def test_a_file_in_the_way(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    for ask in (store.prepare, store.destroy):
        with pytest.raises(NotAJobStore):
            ask()
    assert (tmp_path / "store").read_text() == "mine"
    with pytest.raises(NotAJobStore, match="a file in the way"):
        FileJobStore(str(tmp_path / "store" / "below"), Config()).prepare()


def test_a_link_to_nowhere_in_the_way(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "store").symlink_to("nowhere")
    with pytest.raises(NotAJobStore):
        store.destroy()
    assert (tmp_path / "store").is_symlink()


def test_a_store_that_another_removes_in_this_moment(store: FileJobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(root: bytes) -> bool:
        os.rmdir(root)
        return False

    (tmp_path / "store").mkdir()
    monkeypatch.setattr(file_layout, "is_ours", gone)
    store.destroy()


def test_a_missing_parent(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no folder {tmp_path}/absent; make it first"):
        FileJobStore(str(tmp_path / "absent" / "store"), Config()).prepare()


@pytest.mark.parametrize("locator", ["", "a\0b"])
def test_locators_that_are_no_paths(locator: str) -> None:
    with pytest.raises(BadLocator):
        FileJobStore(locator, Config())


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    code = """
import sys
from toil_core.drivers.file import FileJobStore
from toil_core.errors import UsageError
from toil_core.options import Config
try:
    FileJobStore(sys.argv[1], Config()).prepare()
except UsageError as error:
    print(error, end="")
"""
    store = tmp_path / "closed" / "store"
    told = subprocess.run([*under_permissions(), sys.executable, "-c", code, store], capture_output=True, text=True, check=True).stdout
    assert f"{store} cannot be used: Permission denied; check the folder's permissions" in told


def test_a_read_only_file_system(small: Path) -> None:
    with FileJobStore(str(small / "store"), Config()) as store:
        store.prepare()
        store.create("k", b"")
        remount(small, "ro")
        other = FileJobStore(str(small / "other"), Config())
        asks: list[Callable[[], None]] = [store.prepare, store.destroy, other.prepare]
        for ask in asks:
            with pytest.raises(UsageError, match="cannot be used: the tmpfs file system of .* is mounted read-only; mount it writable, or choose another folder"):
                ask()
        with pytest.raises(StoreReadOnly, match="the tmpfs file system of .* is mounted read-only: new"):
            store.create("new", b"")
        assert store.stat("k").size == 0


def test_an_empty_folder_is_taken_but_not_removed_before(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store.destroy()
    assert (tmp_path / "store").is_dir()
    store.prepare()
    store.destroy()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("mark", [b"", b'{"toil'])
def test_a_half_made_store_can_be_made_and_removed(store: FileJobStore, tmp_path: Path, mark: bytes) -> None:
    for ask in (store.destroy, store.prepare):
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / "toil-job-store.json").write_bytes(mark)
        ask()
    store.create("k", b"")
    (tmp_path / "store" / "blobs" / "k").unlink()
    (tmp_path / "store" / "blobs").rmdir()
    store.destroy()
    assert not (tmp_path / "store").exists()


def test_preparing_that_was_cut_short_leaves_nothing_behind(store: FileJobStore, tmp_path: Path) -> None:
    store.prepare()
    shutil.rmtree(store.staging())
    (tmp_path / "store" / "staging-0123456789abcdef").mkdir()
    store.prepare()
    store.create("k", b"")
    store.destroy()
    assert not (tmp_path / "store").exists()


def test_what_others_put_into_a_store_survives_it(store: FileJobStore, tmp_path: Path) -> None:
    store.prepare()
    store.create("k", b"")
    (tmp_path / "store" / "results.txt").write_text("important")
    store.destroy()
    assert os.listdir(tmp_path / "store") == ["results.txt"]


def test_a_store_of_many_blobs_is_destroyed(store: FileJobStore, tmp_path: Path) -> None:
    store.prepare()
    for number in range(1200):
        store.create(f"commits/1-{number}/0", b"")
        store.create(f"files/{number % 600}/{number}", b"")
    store.destroy()
    assert os.listdir(tmp_path) == []


def test_destroy_follows_no_link(store: FileJobStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("")
    store.prepare()
    (tmp_path / "store" / "blobs" / "link").symlink_to(tmp_path / "elsewhere")
    store.destroy()
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_nothing_is_stored_where_no_store_is(store: FileJobStore, tmp_path: Path) -> None:
    with pytest.raises(NoSuchJobStore, match=f"no job store at {tmp_path}/store"):
        store.create("a/b", b"")
    with pytest.raises(NoSuchJobStore):
        store.write("k", io.BytesIO(b"x"))
    with pytest.raises(NoSuchKey):
        store.read("k")
    assert list(store.list()) == []
    assert not (tmp_path / "store").exists()


# File systems that lack something


def test_a_file_system_without_links_is_refused(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: bytes, target: bytes) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(UsageError, match="file system, which cannot make hard links: two writers"):
        store.prepare()
    assert list(store.staging().iterdir()) == []
    store.destroy()


def test_a_file_system_that_links_over_files_is_refused(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", shutil.copyfile)
    with pytest.raises(UsageError, match="cannot refuse a name that is taken"):
        store.prepare()


def test_a_link_that_is_reported_as_failed_though_made(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.prepare()
    link = os.link

    def lossy(code: int) -> Callable[[bytes, bytes], None]:
        def call(source: bytes, target: bytes) -> None:
            link(source, target)
            raise OSError(code, os.strerror(code))

        return call

    for code in (errno.EEXIST, errno.EIO):
        monkeypatch.setattr(os, "link", lossy(code))
        store.create(f"k{code}", b"mine")
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(KeyExists):
        store.create(f"k{errno.EIO}", b"other")
    with store.read(f"k{errno.EEXIST}") as stream:
        assert stream.read() == b"mine"


def test_a_rename_that_is_asked_for_twice(store: FileJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.prepare()
    replace = os.replace

    def twice(source: bytes, target: bytes) -> None:
        replace(source, target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", twice)
    store.write("k", io.BytesIO(b"mine"))
    assert store.stat("k").size == 4


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EIO, Transient), (errno.ESTALE, Transient), (errno.EDQUOT, StoreFull), (errno.EACCES, UsageError)]
)
def test_refusals_of_the_system_are_verdicts(
    store: FileJobStore, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[ToilError]
) -> None:
    store.prepare()
    store.create("k", b"")

    def fail(*arguments: object, **more: object) -> int:
        raise OSError(code, os.strerror(code))

    asks: list[Callable[[], object]] = [
        lambda: store.create("new", b""),
        lambda: store.write("new", io.BytesIO(b"x")),
        lambda: store.read("k"),
    ]
    for ask in asks:
        with monkeypatch.context() as patched, pytest.raises(kind):
            patched.setattr(os, "open", fail)
            ask()


# Full disks


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "size=512k", "nr_inodes=30") as folder:
        yield folder


def test_a_full_disk_leaves_all_as_it_was(small: Path) -> None:
    with FileJobStore(str(small / "store"), Config()) as store:
        store.prepare()
        store.write("k", io.BytesIO(b"old"))
        asks: list[Callable[[], None]] = [
            lambda: store.write("k", io.BytesIO(bytes(1 << 20))),
            lambda: store.create("new", bytes(1 << 20)),
        ]
        for ask in asks:
            with pytest.raises(StoreFull, match=f"the tmpfs file system of {small}/store is full") as raised:
                ask()
            assert raised.value.key in ("k", "new")
        assert [(blob.key, blob.size) for blob in store.list()] == [("k", 3)]
        assert list(store.staging().iterdir()) == []
        store.create("new", b"fits")
        store.destroy()


def test_no_inode_left_is_a_full_disk(small: Path) -> None:
    with FileJobStore(str(small / "store"), Config()) as store:
        store.prepare()
        with pytest.raises(StoreFull, match="no inode left"):
            for number in range(100):
                store.create(f"k/{number}", b"")
        store.delete(["k/0", "k/1"])
        store.create("again", b"")


def test_no_store_is_made_on_a_full_disk(small: Path) -> None:
    with suppress(OSError), open(small / "big", "wb", buffering=0) as big:
        big.write(bytes(1 << 20))
    with pytest.raises(UsageError, match="tmpfs file system of .* is full"):
        FileJobStore(str(small / "store"), Config()).prepare()


# What killed processes leave


@pytest.mark.parametrize("sweep", [FileJobStore.prepare, FileJobStore.tidy])
def test_what_a_killed_writer_left_is_swept(store: FileJobStore, sweep: Callable[[FileJobStore], None]) -> None:
    store.prepare()
    code = """
import io, os, sys
from toil_core.drivers.file import FileJobStore
from toil_core.options import Config
class Endless(io.BytesIO):
    def read(self, size=-1):
        print("writing", flush=True)
        sys.stdin.readline()
        return b"x"
FileJobStore(sys.argv[1], Config()).write("k", Endless())
"""
    mine = store.staging() / staged_name()
    mine.write_bytes(b"")
    command = [sys.executable, "-c", code, str(store.staging().parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "writing\n"
        sweep(store)
        assert len(list(store.staging().iterdir())) == 2, "a living writer is left alone"
        writer.kill()
    sweep(store)
    assert list(store.staging().iterdir()) == [mine]


def test_what_another_machine_forgot_is_swept_after_days(store: FileJobStore) -> None:
    store.prepare()
    for name, days in (("0badcafe.1.1", 1), ("0badcafe.1.2", 30), ("any name", 30)):
        (store.staging() / name).mkdir()
        (store.staging() / name / "file").touch()
        past = (store.staging() / name).stat().st_mtime - days * 86400
        os.utime(store.staging() / name, (past, past))
    store.prepare()
    assert [path.name for path in store.staging().iterdir()] == ["0badcafe.1.1"]


# Adoption


def test_only_files_of_the_staging_folder_are_adopted(store: FileJobStore, tmp_path: Path) -> None:
    store.prepare()
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (store.staging() / "link").symlink_to(outside)
    (store.staging() / "folder").mkdir()
    for source in (outside, store.staging() / "link", store.staging() / "folder", store.staging() / ".." / ".." / "outside"):
        with pytest.raises(UsageError, match="no regular file in"):
            store.adopt("k", source)
    assert outside.read_text() == "mine"
    assert list(store.list()) == []


def test_adopted_scripts_stay_executable(store: FileJobStore) -> None:
    store.prepare()
    script = store.staging() / staged_name()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    store.adopt("files/1/run.sh", script)
    assert store.path("files/1/run.sh").stat().st_mode & 0o777 == 0o555


def test_a_link_to_a_folder_is_a_place_for_a_store_and_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to("folder")
    store = FileJobStore(str(link), Config())
    store.prepare()
    store.create("a", b"b")
    store.destroy()
    assert link.is_symlink()
    assert os.listdir(tmp_path / "folder") == []


def test_a_link_that_leads_nowhere_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(UsageError, match="is a link that leads nowhere"):
        FileJobStore(str(tmp_path / "link"), Config()).prepare()


def test_where_nothing_can_be_made_nobody_is_told_to_make_what_is_there() -> None:
    with pytest.raises(UsageError, match="nothing can be made in /proc"):
        FileJobStore("/proc/store", Config()).prepare()
