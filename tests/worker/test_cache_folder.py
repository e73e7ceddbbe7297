"""The cache's folder: where there is one, how long it stays, who removes it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.without_paths import WithoutPaths
from toil_core import Toil
from toil_core.drivers import file_layout
from toil_core.drivers.file import FileJobStore
from toil_core.job_store import JobStore
from toil_core.leader.options import EngineOptions
from toil_core.options import Config, config_from
from toil_core.wire.work import Setup
from toil_core.worker import cache_folder
from toil_core.worker.cache import Cache
from toil_core.worker.cache_folder import CacheFolder
from toil_core.workflow.file_access import Way


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    yield WithoutPaths(tmp_path)


def setup(workflow: str = "w1", **options: object) -> Setup:
    return Setup(workflow, options=Config([EngineOptions(**options)]).as_dict())  # type: ignore[arg-type]


def opened(root: Path, store: JobStore, given: Setup | None = None, *, keep: bool = False) -> CacheFolder:
    found = CacheFolder.open(root, store, given or setup(), keep=keep)
    assert found is not None
    return found


def put(folder: CacheFolder, size: int) -> bool:
    return Cache(str(folder.path)).put(f"files/{size}", b"x" * size, 0o444)


def test_all_hosts_of_a_run_on_a_node_share_one(root: Path, store: JobStore) -> None:
    one, other = opened(root, store), opened(root, store)
    assert one.path == other.path
    assert one.path.stat().st_mode & 0o077 == 0
    assert opened(root, store, setup("w2")).path != one.path


def test_the_last_host_removes_it(root: Path, store: JobStore) -> None:
    one, other = opened(root, store), opened(root, store)
    assert put(one, 3)
    one.release()
    assert other.path.exists()
    other.release()
    assert list(root.iterdir()) == []


def test_one_that_waits_for_workers_stays_for_a_time(root: Path, store: JobStore) -> None:
    waiting = opened(root, store, keep=True)
    waiting.release()
    opened(root, store, setup("w2")).release()
    assert waiting.path.exists()
    late = os.stat(waiting.path / "held").st_mtime - 1.1 * cache_folder.KEPT_SECONDS
    os.utime(waiting.path / "held", (late, late))
    opened(root, store, setup("w2")).release()
    assert list(root.iterdir()) == []


def test_what_killed_hosts_left_is_removed_by_the_next(root: Path, store: JobStore) -> None:
    pid = os.fork()
    if not pid:
        opened(root, store, setup("killed"))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (root / "toil-cache-gone-half").mkdir()
    (root / "toil-cache-half").mkdir()
    assert len(list(root.iterdir())) == 3
    ours = opened(root, store)
    assert list(root.iterdir()) == [ours.path]


def test_a_cache_that_is_held_is_never_removed(root: Path, store: JobStore) -> None:
    held = opened(root, store)
    assert put(held, 3)
    opened(root, store, setup("w2")).release()
    assert put(held, 4)


def test_one_that_is_removed_while_it_is_opened_is_made_anew(root: Path, store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(root, store)
    real = cache_folder._check_ours
    calls: list[Path] = []

    def check(path: Path) -> None:
        real(path)
        if not calls:
            calls.append(path)
            first.release()

    monkeypatch.setattr(cache_folder, "_check_ours", check)
    ours = opened(root, store)
    assert calls == [ours.path]
    assert put(ours, 3)


def test_its_size(root: Path, store: JobStore) -> None:
    small = opened(root, store, setup(cache_size=100))
    assert put(small, 100)
    assert not put(small, 101)
    assert put(opened(root, store, setup("w2")), 101)


def test_none_where_it_is_of_no_use(root: Path, store: JobStore, tmp_path: Path) -> None:
    linkable = FileJobStore(str(tmp_path / "store"), Config())
    assert CacheFolder.open(root, linkable, setup(), keep=False) is None
    assert CacheFolder.open(root, store, setup(caching=False), keep=False) is None
    assert CacheFolder.open(root, store, Setup(), keep=False) is None
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "lustre", "fuse.sshfs", "9p"])
def test_none_on_a_file_system_that_machines_share(
    root: Path, store: JobStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    monkeypatch.setattr(file_layout, "file_system", lambda _: kind)
    with caplog.at_level(logging.INFO, "toil.worker"):
        assert CacheFolder.open(root, store, setup(), keep=False) is None
    (record,) = caplog.records
    assert f"files are not cached: {root} lies on {kind}" in record.getMessage()
    assert "--work-dir" in record.getMessage()


@pytest.mark.parametrize("kind", ["ext4", "overlay", "tmpfs", "fuse.fuse-overlayfs", "unknown"])
def test_one_on_all_others(root: Path, store: JobStore, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(file_layout, "file_system", lambda _: kind)
    assert put(opened(root, store), 3)


def test_it_works_on_a_file_system_in_memory(store: JobStore, tmp_path: Path) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        ours = opened(Path(folder), store)
        assert put(ours, 3)
        elsewhere = tmp_path / "x"  # on another file system, so no hard link can be made
        assert Cache(str(ours.path)).provide("files/3", 3, 0o444, elsewhere, Way.FILE, lambda _: None)
        assert elsewhere.read_bytes() == b"xxx"


def test_somebody_elses_folder_is_not_used(root: Path, store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    trap = root / cache_folder.name("w1")
    trap.mkdir()
    (trap / "theirs").touch()
    trap.chmod(0o777)
    with caplog.at_level(logging.INFO, "toil.worker"):
        assert CacheFolder.open(root, store, setup(), keep=False) is None
    assert "belongs to somebody else" in caplog.text
    trap.rename(root / "trap")
    trap.symlink_to(root)
    assert CacheFolder.open(root, store, setup(), keep=False) is None


@pytest.mark.parametrize(
    ("arguments", "caching", "size"),
    [
        ([], True, None),
        (["--disable-caching"], False, None),
        (["--disableCaching"], False, None),
        (["--caching", "false"], False, None),
        (["--caching=true", "--cacheSize", "10 GiB"], True, 10 << 30),
    ],
)
def test_options(arguments: list[str], caching: bool, size: int | None) -> None:
    options = config_from(Toil.parser().parse_args(["store", *arguments]))[EngineOptions]
    assert (options.caching, options.cache_size) == (caching, size)
