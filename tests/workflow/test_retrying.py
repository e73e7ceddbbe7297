"""Attempts that fail are tried again with more, as often as the user says."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from toil_core import Job, job, run
from toil_core.errors import WorkflowFailed

SMALL: dict[str, Any] = {"cores": 0.5, "memory": 64 << 20, "disk": 1 << 20}


@job(**SMALL, wall_time=0.01)
def slow(job: Job[Any], long: float) -> float:
    limit = job.requirements.wall_time
    assert limit is not None
    if limit < long:
        signal.pause()
    return limit


def test_what_ran_out_of_time_gets_more(tmp_path: Path) -> None:
    limit = run(slow(100.0), job_store=f"file:{tmp_path}/store", over_time_factor=100, retry_count_for=["over-time=2"], retry_count=0)
    assert limit == pytest.approx(100)


@job(**SMALL)
def counts(file: Path) -> None:
    with open(file, "a") as stream:
        stream.write("x")
    raise ValueError("always")


def test_each_reason_is_retried_as_often_as_said(tmp_path: Path) -> None:
    with pytest.raises(WorkflowFailed):
        run(counts(tmp_path / "runs"), job_store=f"file:{tmp_path}/store", retry_count=5, retry_count_for=["failed=2"], retry_backoff_seconds=0)
    assert (tmp_path / "runs").read_text() == "xxx"


@job(**SMALL, tries=1)
def fails() -> None:
    raise ValueError("first")


@job(**SMALL)
def waits(folder: Path) -> None:
    (folder / "started").touch()
    signal.pause()


@pytest.mark.parametrize("stop", [True, False])
def test_a_run_may_end_with_its_first_failure(tmp_path: Path, stop: bool) -> None:
    root = Job[Any](**SMALL)
    root.add_child(fails())
    root.add_child(waits(tmp_path) if stop else job(Path.touch, **SMALL)(tmp_path / "started"))
    with pytest.raises(WorkflowFailed, match="1 job failed for good"):
        run(root, job_store=f"file:{tmp_path}/store", stop_on_first_failure=stop)
    assert stop or (tmp_path / "started").exists()
