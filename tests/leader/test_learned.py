"""What runs teach later runs, and what users are told of their requests."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from toil_core import Job, job, run
from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.errors import BadOption, WorkflowFailed
from toil_core.events import AttemptFailed, JobDone
from toil_core.job_store import JobStore
from toil_core.leader.learned import Learner, Measured, Profile, estimates, read
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.wire.work import Estimate
from toil_core.workflow.policy import Policy
from toil_core.workflow.requirement import wanted

MIB = 1 << 20
GIVEN = Requirement(memory=100 * MIB, disk=10 * MIB)


def done(memory: int = 0, disk: int = 0, wall: float = 1.0, name: str = "align") -> JobDone:
    return JobDone(0.0, "0.1", name, Usage(wall, memory=memory * MIB, disk=disk * MIB), GIVEN)


def failed(reason: Reason, memory: int) -> AttemptFailed:
    return AttemptFailed(0.0, "0.1", "align", reason, "", "", "", False, 1, 0.0, Usage(5.0, memory=memory * MIB))


def store() -> JobStore:
    opened = open_job_store(f"memory:{os.urandom(4).hex()}", Config())
    opened.prepare()
    return opened


def test_what_was_learnt_is_stored_now_and_then() -> None:
    kept = store()
    learner = Learner(Profile(), kept)
    for _ in range(2500):
        learner(done(10))
    assert read(kept).jobs["align"].count == 2000
    learner.save()
    assert read(kept).jobs["align"].count == 2500


def test_names_without_end_are_not_all_learnt() -> None:
    learner = Learner(Profile(), store())
    for number in range(10_100):
        learner(done(10, name=f"job-{number}"))
    learner(done(20, name="job-3"))
    assert len(learner.profile.jobs) == 10_000
    assert learner.profile.jobs["job-3"].count == 2


def test_peaks_and_means() -> None:
    learner = Learner(Profile(), store())
    for event in (done(10, 1, 1.0), done(30, 5, 3.0), failed(Reason.OUT_OF_MEMORY, 200), failed(Reason.FAILED, 900)):
        learner(event)
    found = learner.profile.jobs["align"]
    assert (found.count, found.memory, found.mean_memory) == (2, 200 * MIB, 20 * MIB)
    assert (found.disk, found.mean_disk, found.seconds, found.mean_seconds) == (5 * MIB, 3 * MIB, 5.0, 2.0)


def test_an_estimate_is_never_below_what_was_measured() -> None:
    assert Measured(1, 1000 * MIB, disk=500 * MIB, seconds=100.0).estimate(0.5) == Estimate(1500 * MIB, 750 * MIB, 150.0)
    assert Measured(1, 1000 * MIB, disk=0, seconds=0.1).estimate(0.0) == Estimate(1000 * MIB, 64 * MIB, 60.0)


def test_wrong_requests_are_told_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    learner = Learner(Profile(), store())
    with caplog.at_level(logging.WARNING, "toil.leader"):
        for event in (done(95, 11), done(120, 12), done(50, 5), done(101, name="sort")):
            learner(event)
    assert [record.getMessage().partition(" (said")[0] for record in caplog.records] == [
        "align 0.1 used 11.0 MiB of disk, more than the 10.0 MiB that it had asked for",
        "align 0.1 used 95.0 MiB of memory, nearly all of the 100 MiB that it had asked for",
        "sort 0.1 used 101 MiB of memory, more than the 100 MiB that it had asked for",
    ]


def policy(**options: Any) -> Policy:
    return Policy.of(Config([EngineOptions(**options)]), {"align": Estimate(300 * MIB, 70 * MIB, 90.0)})


def test_what_a_job_does_not_say_is_estimated() -> None:
    found = policy().complete(wanted(memory="1 GiB"), "align")
    assert (found.memory, found.disk, found.wall_time) == (1 << 30, 70 * MIB, None)
    assert policy().complete(wanted(), "align").memory == 300 * MIB
    assert policy().complete(wanted(), "other").memory == 2 << 30
    assert policy(default_wall_time=5.0).complete(wanted(), "align").wall_time == 90.0
    assert policy(max_memory=200 * MIB).complete(wanted(), "align").memory == 200 * MIB


def test_on_demand_what_jobs_say_is_replaced_too() -> None:
    found = policy(estimate_all=True).complete(wanted(memory="1 GiB", disk=1, wall_time=5, cores=3), "align")
    assert (found.cores, found.memory, found.disk, found.wall_time) == (3.0, 300 * MIB, 70 * MIB, 90.0)


@job(cores=0.5)
def fills(job: Job[Any]) -> tuple[int, int]:
    (job.tmp / "data").write_bytes(bytes(3 * MIB))
    return job.requirements.memory, job.requirements.disk


@job(cores=0.5)
def top(job: Job[Any]) -> Any:
    return job.add_child(fills())


OPTIONS: dict[str, Any] = {"default_memory": 100 * MIB, "default_disk": 2 * MIB, "disable_progress": True}


def test_a_run_learns_and_the_next_uses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, profile = f"file:{tmp_path}/store", tmp_path / "profile.json"
    assert run(top(), job_store=store, clean="never", save_profile=str(profile), **OPTIONS) == (100 * MIB, 2 * MIB)
    assert capsys.readouterr().err.count("3.0 MiB of disk, more than the 2.0 MiB") == 1
    assert msgspec.json.decode(profile.read_bytes())["jobs"]["fills"]["disk"] >= 3 * MIB
    for place in (profile, store, tmp_path / "store"):
        found = run(top(), job_store=f"file:{tmp_path}/again", estimate_from=str(place), **OPTIONS)
        assert found == (64 * MIB, 64 * MIB)
    with open_job_store(store, Config()) as opened:
        assert read(opened).jobs["fills"].count == 1


@job(cores=0.5, tries=1)
def broken() -> None:
    raise ValueError("always")


def test_a_profile_is_kept_of_runs_that_fail(tmp_path: Path) -> None:
    root = fills()
    root.add_child(broken())
    with pytest.raises(WorkflowFailed):
        run(root, job_store=f"file:{tmp_path}/store", save_profile=str(tmp_path / "profile"), **OPTIONS)
    assert set(msgspec.json.decode((tmp_path / "profile").read_bytes())["jobs"]) == {"fills"}


def test_a_profile_that_cannot_be_written_does_not_spoil_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(fills(), job_store=f"file:{tmp_path}/store", save_profile=str(tmp_path / "no" / "profile"), **OPTIONS)
    assert "--save-profile" in capsys.readouterr().err


def test_places_without_a_profile_are_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for place, why in ((tmp_path / "text", "no file that --save-profile wrote"), (tmp_path / "none", "there is neither such a file nor a run")):
        with pytest.raises(BadOption, match=why):
            estimates(Config([EngineOptions(estimate_from=str(place))]))
    with pytest.raises(BadOption, match="--estimate-from"):
        run(fills(), job_store=f"file:{tmp_path}/store", estimate_from=str(tmp_path / "none"), **OPTIONS)
    assert not (tmp_path / "store").exists()
    assert estimates(Config()) == {}
