"""Checkpoint jobs, encapsulated jobs and local jobs, with real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toil_core import File, Job, job, run
from toil_core.errors import BadOption, GraphError, WorkflowFailed
from toil_core.options import Config
from toil_core.plugins import open_job_store

SMALL = {"default_memory": "64 MiB", "default_disk": "1 MiB", "default_cores": 0.1, "retry_backoff_seconds": 0}


def count(folder: Path, name: str) -> int:
    """How often this was called with the name, now included."""
    path = folder / name
    path.write_text((path.read_text() if path.exists() else "") + "x")
    return len(path.read_text())


@job(tries=1)
def fails_until(folder: Path, times: int) -> str:
    number = count(folder, "failing")
    if number < times:
        raise ValueError(f"attempt {number}")
    return f"attempt {number}"


@job
def read(job: Job[object], file: File) -> str:
    text = job.files.read(file).read_text()
    job.files.delete(file)
    return text


@job(checkpoint=True)
def start_over(job: Job[object], folder: Path, file: File, times: int) -> tuple[int, str, str]:
    number = count(folder, "checkpoint")
    job.files.write(f"run {number}")
    reading = job.add_child(read(file))
    return number, reading.add_child(fails_until(folder, times)), reading  # type: ignore[return-value]


@job
def top(job: Job[object], folder: Path, times: int) -> tuple[int, str, str]:
    return job.add_child(start_over(folder, job.files.write("text"), times))  # type: ignore[return-value]


def test_a_checkpoint_job_runs_again(tmp_path: Path) -> None:
    store = f"file:{tmp_path / 'store'}"
    assert run(top(tmp_path, 3), job_store=store, retry_count=5, clean="never", **SMALL) == (3, "attempt 3", "text")
    with open_job_store(store, Config()) as found:
        kept = [found.read(blob.key).read() for blob in found.list("files/")]
    assert kept == [b"run 3"], "what was to be deleted is, and former runs left nothing"


def test_its_tries_are_used_up_and_a_restart_goes_on_below_it(tmp_path: Path) -> None:
    store = f"file:{tmp_path / 'store'}"
    with pytest.raises(WorkflowFailed, match="attempt 2"):
        run(top(tmp_path, 3), job_store=store, retry_count=1, **SMALL)
    assert run(top(tmp_path, 3), job_store=store, restart=True, **SMALL) == (2, "attempt 3", "text")


def test_it_has_no_successors_before_it_runs(tmp_path: Path) -> None:
    root = Job[None](checkpoint=True, name="root")
    root.add_child(fails_until(tmp_path, 1))
    with pytest.raises(GraphError, match="'root' is a checkpoint job: it may have no successors"):
        run(root, job_store=f"file:{tmp_path / 'store'}")
    with pytest.raises(BadOption, match="checkpoint='yes'"):
        job(checkpoint="yes")(fails_until.function)  # type: ignore[call-overload]


@job
def note(folder: Path, name: str, *given: object) -> str:
    with (folder / "notes").open("a") as file:
        file.write(f"{name}\n")
    return name


@job
def grows(job: Job[object], folder: Path) -> str:
    note.function(folder, "grows")
    job.add_child(note(folder, "child")).add_follow_on(note(folder, "last"))
    return "grown"


def test_children_of_an_encapsulated_job_come_after_all_below_it(tmp_path: Path) -> None:
    root = Job[None](name="root")
    whole = root.add_child(grows(tmp_path).encapsulate())
    after = whole.add_child(note(tmp_path, "after", whole, whole.rv()))
    whole.add_follow_on(note(tmp_path, "end", after))
    run(root, job_store=f"file:{tmp_path / 'store'}", **SMALL)
    assert (tmp_path / "notes").read_text().split() == ["grows", "child", "last", "after", "end"]


def test_an_encapsulated_job_s_value_is_the_job_s(tmp_path: Path) -> None:
    root = note(tmp_path, "first")
    whole = root.add_child(grows(tmp_path).encapsulate())
    root.add_follow_on(note(tmp_path, "given", whole))
    assert run(root, job_store=f"file:{tmp_path / 'store'}", **SMALL) == "first"
    value = run(grows(tmp_path), job_store=f"file:{tmp_path / 'plain'}", **SMALL)
    root = grows(tmp_path).encapsulate()
    root.add_follow_on(grows(tmp_path))
    assert value is not None
    assert run(root, job_store=f"file:{tmp_path / 'other'}", **SMALL) == value
    assert run(grows(tmp_path).encapsulate().encapsulate(), job_store=f"file:{tmp_path / 'twice'}", **SMALL) == value


@job(local=True)
def here() -> int:
    return os.getppid()


def test_a_local_job_where_all_run_here(tmp_path: Path) -> None:
    assert run(here(), job_store=f"file:{tmp_path / 'store'}", **SMALL) > 1
