"""A cluster's folder on the user's machine that cannot be used."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import IO

import pytest

from toil_core.cluster.state import ClusterFile, ClusterState, write_private
from toil_core.errors import UsageError

FILE = ClusterFile("demo", "local", "dask", "ssh", {})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterState:
    monkeypatch.setenv("TOIL_STATE_DIR", str(tmp_path / "state"))
    return ClusterState("demo")


def test_a_folder_that_cannot_be_made_is_told_in_a_line(state: ClusterState, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(UsageError, match=f"{state.folder} cannot be written: Not a directory; TOIL_STATE_DIR says where else"), state.locked():
        raise AssertionError("it has the lock")
    assert not state.exists()


def test_a_full_disk_is_told_in_a_line_that_names_the_file(state: ClusterState) -> None:
    with state.locked():
        (state.folder / "journal").symlink_to("/dev/full")
        with pytest.raises(UsageError, match=f"{state.folder / 'journal'} cannot be written: No space left on device"):
            state.note("keys", "done")


def test_what_the_body_of_a_lock_raises_is_its_own(state: ClusterState) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"), state.locked():
        raise FileNotFoundError("nothing")
    with state.locked():
        pass


def test_files_that_are_in_the_way_are_told(state: ClusterState) -> None:
    with state.locked():
        (state.folder / "cluster.json").mkdir()
        with pytest.raises(UsageError, match=r"cluster\.json cannot be written: Is a directory"):
            state.write(FILE)
        with pytest.raises(UsageError, match=r"cluster\.json cannot be read: Is a directory"):
            state.read()
        (state.folder / "secrets").write_text("")
        with pytest.raises(UsageError, match=r"secrets cannot be written: Not a directory"):
            state.keep_secrets({"key": b"x"})
        (state.folder / "staging").write_text("")
        with pytest.raises(UsageError, match=r"staging cannot be written: File exists"):
            state.make_staging()


def test_a_private_file_replaces_what_an_interrupted_one_left(state: ClusterState, tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_text("half")
    write_private(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.glob(".file*")) == []


def test_whoever_looks_whether_a_command_works_on_it_is_not_taken_for_one(state: ClusterState, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `toil list-clusters` does while a command begins."""
    flock = fcntl.flock
    with state.locked():
        looking = open(state.folder / "lock")  # noqa: SIM115  closed below

    def locking(file: IO[str], how: int) -> None:
        if how == fcntl.LOCK_SH | fcntl.LOCK_NB and not looking.closed:
            flock(file, how)
            looking.close()
        else:
            flock(file, how)

    flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(fcntl, "flock", locking)
    with state.locked():
        assert looking.closed
        with pytest.raises(UsageError, match="another command works on cluster demo"), state.locked():
            raise AssertionError("two have the lock")


def test_a_lock_that_went_with_the_cluster_is_none(state: ClusterState, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the cluster is destroyed while the next command begins."""
    flock, removed = fcntl.flock, list[Path]()

    def locking(file: IO[str], how: int) -> None:
        if not removed:
            removed.append(state.folder)
            shutil.rmtree(state.folder)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", locking)
    with state.locked():
        assert removed and state.is_at_work()
