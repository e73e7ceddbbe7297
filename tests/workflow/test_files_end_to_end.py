"""Files through whole runs: shared by the jobs of a node, and gone when they are to be."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from toil_core import File, Job, Toil, job, run
from toil_core.workflow.files import Directory

_names = (f"memory:files-end-to-end-{number}" for number in itertools.count())
SIZE = 3 << 20


@job(cores=0.1)
def make(job: Job[Any], cleanup: bool) -> File:
    with job.files.create("big.bin", cleanup=cleanup) as out:
        out.write(os.urandom(SIZE))
    return out.file


@job(cores=0.1)
def look(job: Job[Any], file: File) -> tuple[int, int]:
    """Inode and number of links of what is read."""
    facts = job.files.read(file).stat()
    assert facts.st_size == SIZE
    return facts.st_ino, facts.st_nlink


@job(cores=0.1)
def share(job: Job[Any]) -> list[Any]:
    made = job.add_child(make(False))
    return [made.add_child(look(made.rv())) for _ in range(4)]


def in_work_dir(tmp_path: Path) -> str:
    (tmp_path / "work").mkdir(exist_ok=True)
    return str(tmp_path / "work")


def test_jobs_of_a_node_share_what_one_of_them_wrote(tmp_path: Path) -> None:
    found = run(share(), job_store=next(_names), work_dir=in_work_dir(tmp_path), disable_progress=True)
    assert len({inode for inode, _ in found}) == 1
    assert all(links >= 2 for _, links in found)
    assert list((tmp_path / "work").iterdir()) == []


def test_without_caching_each_has_its_own(tmp_path: Path) -> None:
    found = run(share(), job_store=next(_names), work_dir=in_work_dir(tmp_path), disable_progress=True, caching=False)
    assert {links for _, links in found} == {1}


def test_a_store_with_paths_has_no_cache(tmp_path: Path) -> None:
    found = run(share(), job_store=f"file:{tmp_path}/store", work_dir=in_work_dir(tmp_path), disable_progress=True)
    assert found == [(found[0][0], 1)] * 4


@job(cores=0.1)
def is_there(job: Job[Any], file: File) -> bool:
    return job.files.exists(file)


@job(cores=0.1)
def cleaned(job: Job[Any]) -> list[Any]:
    made = job.add_child(make(True))
    inside = made.add_child(is_there(made.rv()))
    user = job.add_child(is_there(made.rv()))
    return [inside, user, made]


@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_file_that_goes_by_itself_goes_when_nobody_needs_it(tmp_path: Path, store: str) -> None:
    inside, user, file = run(
        cleaned(), job_store=f"file:{tmp_path}/store" if store == "file" else next(_names), clean="never", disable_progress=True
    )
    assert (inside, user) == (True, True)
    assert isinstance(file, File)
    if store == "file":
        left = [path.name for path in (tmp_path / "store").rglob("big.bin")]
        assert left == ["big.bin"]  # the root's value speaks of it, and may be asked for as long as the store is there


@job(cores=0.1)
def hides(job: Job[Any]) -> str:
    made = job.add_child(make(True))
    made.add_child(look(made.rv()))
    return "done"


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    assert run(hides(), job_store=f"file:{tmp_path}/store", clean="never", disable_progress=True) == "done"
    assert list((tmp_path / "store").rglob("big.bin")) == []


@job(cores=0.1)
def pack(job: Job[Any]) -> Directory:
    folder = Path(job.tmp, "index")
    folder.mkdir()
    (folder / "a").write_text("a")
    (folder / "b").symlink_to("a")
    return job.files.write_directory(folder)


@job(cores=0.1)
def unpack(job: Job[Any], directory: Directory) -> tuple[str, str, list[str]]:
    path = job.files.read(directory)
    return (path / "b").read_text(), os.readlink(path / "b"), sorted(job.files.contents(directory))


@job(cores=0.1)
def directories(job: Job[Any]) -> Any:
    packed = job.add_child(pack())
    return packed.add_child(unpack(packed.rv()))


@pytest.mark.parametrize("store", ["memory", "file"])
def test_directories(tmp_path: Path, store: str) -> None:
    locator = f"file:{tmp_path}/store" if store == "file" else next(_names)
    assert run(directories(), job_store=locator, disable_progress=True) == ("a", "a", ["a"])


@job(cores=0.1)
def write_something(job: Job[Any], before: list[bool]) -> list[bool]:
    """Whether what opens job stores was there when the job began."""
    found = [*before, "toil_core.worker.stores" in sys.modules]
    job.files.write("x")
    return found


@job(cores=0.1)
def one_after_another(job: Job[Any], left: int, found: list[bool]) -> Any:
    if not left:
        return found
    last = job.add_child(write_something(found))
    return last.add_child(one_after_another(left - 1, last.rv()))


def test_a_slot_learns_that_its_attempts_use_files(tmp_path: Path) -> None:
    found = run(one_after_another(6, []), job_store=f"file:{tmp_path}/store", local_cores=1, disable_progress=True)
    assert len(found) == 6
    assert not found[0]
    assert found[-1]


@job(cores=0.1, tries=2)
def killed_while_it_writes(job: Job[Any], staging: str, before: str) -> list[str]:
    """What lies half written at the second try."""
    if os.path.exists(before):
        return os.listdir(staging)
    open(before, "w").close()
    with job.files.create("half.txt") as out:
        out.write(b"half")
        assert os.listdir(staging)
        os.kill(os.getpid(), signal.SIGKILL)
    return []


def test_what_a_killed_job_left_half_written_is_gone_before_its_next_try(tmp_path: Path) -> None:
    staging = tmp_path / "store" / "staging"
    root = killed_while_it_writes(str(staging), str(tmp_path / "before"))
    with Toil({"clean": "never", "retry_backoff_seconds": 0, "disable_progress": True}, job_store=f"file:{tmp_path}/store") as toil:
        assert toil.start(root) == []
    assert list(staging.iterdir()) == []
