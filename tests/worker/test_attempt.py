"""One attempt: what becomes of return values, errors and what a running job adds."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.here import Here, JobFailed
from toil_core import File, Job, job
from toil_core.batch_system import Reason, Requirement
from toil_core.errors import StoreFull, Transient, UsageError
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire.jobs import Result
from toil_core.wire.work import Task
from toil_core.worker import attempt
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.policy import Policy

kept: list[Any] = []


@job
def call(job: Job[Any], function: Callable[[Job[Any]], Any]) -> Any:
    return function(job)


@job
def leaf(*values: Any) -> Any:
    return values


def failing(tmp_path: Path, function: Callable[[Job[Any]], Any]) -> JobFailed:
    with pytest.raises(JobFailed) as caught:
        Here(tmp_path).run(call(function))
    return caught.value


def raising(error: BaseException) -> Callable[[Job[Any]], Any]:
    kind, arguments = type(error), error.args  # libraries change how exceptions are pickled, and then they come without their code

    def function(job: Job[Any]) -> Any:
        raise kind(*arguments)

    return function


@pytest.mark.parametrize(
    ("error", "reason", "message", "code", "retry"),
    [
        (ValueError("no\nsecond line"), Reason.FAILED, "ValueError: no", None, True),
        (KeyError("k"), Reason.FAILED, "KeyError: 'k'", None, True),
        (ValueError(), Reason.FAILED, "ValueError", None, True),
        (MemoryError(), Reason.OUT_OF_MEMORY, "MemoryError", None, True),
        (OSError(errno.ENOSPC, "full"), Reason.OUT_OF_DISK, "OSError: [Errno 28] full", None, True),
        (OSError(errno.EDQUOT, "quota"), Reason.OUT_OF_DISK, "OSError: [Errno 122] quota", None, True),
        (OSError(errno.EIO, "io"), Reason.FAILED, "OSError: [Errno 5] io", None, True),
        (StoreFull("k"), Reason.OUT_OF_DISK, "StoreFull: k", None, True),
        (Transient("later"), Reason.FAILED, "Transient: later", None, True),
        (UsageError("do that"), Reason.FAILED, "UsageError: do that", None, False),
        (SystemExit(3), Reason.FAILED, "the job called sys.exit(3) where it should return", 3, True),
        (SystemExit(), Reason.FAILED, "the job called sys.exit(0) where it should return", 0, True),
        (SystemExit("why"), Reason.FAILED, "the job called sys.exit: why", 1, True),
    ],
)
def test_errors(tmp_path: Path, error: BaseException, reason: Reason, message: str, code: int | None, retry: bool) -> None:
    failure = failing(tmp_path, raising(error)).failure
    assert (failure.reason, failure.message, failure.exit_code, failure.retry) == (reason, message, code, retry)


def test_ctrl_c_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Here(tmp_path).run(call(raising(KeyboardInterrupt())))


def test_the_traceback_is_the_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def inner() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    failing(tmp_path, lambda job: inner())
    printed = capsys.readouterr().err
    assert "in inner" in printed
    assert "KeyError: 'first'" in printed
    assert printed.rstrip().endswith("ValueError: second")
    assert "toil_core" not in printed


def test_what_a_failed_attempt_said_is_kept(tmp_path: Path) -> None:
    def function(job: Job[Any]) -> None:
        job.log("before")
        raise ValueError

    here = Here(tmp_path)
    with pytest.raises(JobFailed):
        here.run(call(function))
    assert here.results[-1].messages == ((20, "before"),)
    assert here.results[-1].jobs == ()


@pytest.mark.parametrize("level", ["loud", ""])
def test_a_level_that_is_none(tmp_path: Path, level: str) -> None:
    assert "is not a level of logging" in str(failing(tmp_path, lambda job: job.log("x", level)))


def test_return_values_that_cannot_be_sent(tmp_path: Path) -> None:
    failure = failing(tmp_path, lambda job: {"a": [threading.Lock()]}).failure
    assert failure.message == "NotPicklable: the return value of job 'call': ['a'][0]: cannot pickle '_thread.lock' object"
    assert not failure.retry


def test_a_returned_job_must_be_added(tmp_path: Path) -> None:
    failure = failing(tmp_path, lambda job: [leaf()]).failure
    assert "the return value of job 'call' holds a promise of job 'leaf', which was never added" in failure.message
    assert not failure.retry


def test_a_job_cannot_return_itself(tmp_path: Path) -> None:
    assert "holds a promise of itself" in str(failing(tmp_path, lambda job: [job]))
    assert "holds a promise of itself" in str(failing(tmp_path / "2", lambda job: job.add_child(leaf()) and job))


def test_a_child_may_be_given_its_parents_value(tmp_path: Path) -> None:
    def function(job: Job[Any]) -> list[int]:
        job.add_child(check(job))
        return [3]

    Here(tmp_path).run(call(function))


@job
def check(value: Any) -> None:
    assert value == [3]


def test_a_child_cannot_be_given_a_value_that_waits_for_it(tmp_path: Path) -> None:
    def function(job: Job[Any]) -> Any:
        return job.add_child(leaf(job))

    assert "these jobs wait for one another: 'leaf' → 'leaf'" in str(failing(tmp_path, function))


def test_a_cycle(tmp_path: Path) -> None:
    def function(job: Job[Any]) -> None:
        job.add_child(leaf()).add_child(job)

    assert "wait for one another" in str(failing(tmp_path, function))


def add_to_another(job: Job[Any]) -> None:
    kept[0].add_child(leaf())


def add_here_and_there(job: Job[Any]) -> None:
    job.add_child(leaf())
    add_to_another(job)


@pytest.mark.parametrize("function", [add_to_another, add_here_and_there])
def test_only_its_own_successors(tmp_path: Path, function: Callable[[Job[Any]], None]) -> None:
    kept[:] = [call(print)]
    failure = failing(tmp_path, function).failure
    assert "job 'call' added job 'leaf' to job 'call', which is not below it" in failure.message
    assert not failure.retry


def run_once(here: Here, root: Job[Any], request: str, index: int) -> Result:
    flat, payload = flatten_root(root, "0", Policy.of(here.config))
    result, _ = attempt.run(Task("0.0", 0, payload[slice(*flat.jobs[0].body)]), flat.kinds[0], {}, here.place(request, index))
    return result


def test_a_job_is_added_once(tmp_path: Path) -> None:
    kept.clear()
    here = Here(tmp_path)
    assert run_once(here, call(keep), "1-1", 0).failure is None
    failure = run_once(here, call(add_kept), "1-2", 0).failure
    assert failure is not None
    assert "job 'leaf' was added to the workflow already, by job 0.0 in request 1-1" in failure.message


def keep(job: Job[Any]) -> None:
    kept.append(job.add_child(leaf()))


def add_kept(job: Job[Any]) -> None:
    job.add_child(kept[0])


def two(job: Job[Any]) -> None:
    job.add_follow_on(leaf(job.add_child(leaf())))


def test_ids_of_new_jobs_are_the_tasks_own(tmp_path: Path) -> None:
    here = Here(tmp_path)
    ids = [new.id for index in range(3) for new in run_once(here, call(two), "4-17", index).jobs]
    assert ids == ["4-17.0.0", "4-17.0.1", "4-17.1.0", "4-17.1.1", "4-17.2.0", "4-17.2.1"]


def test_new_jobs_get_the_runs_defaults_and_limits(tmp_path: Path) -> None:
    here = Here(tmp_path, Config([EngineOptions(default_cores=3, default_memory=7, default_disk=9, max_cores=4)]))
    assert run_once(here, call(two), "1-1", 0).kinds[0].requirement == Requirement(3, 7, 9)

    def too_much(job: Job[Any]) -> None:
        job.add_child(leaf.requiring(cores=5)())

    failure = run_once(here, call(too_much), "1-1", 0).failure
    assert failure is not None
    assert failure.message == "GraphError: job 'leaf' asks for 5 cores; --max-cores allows 4"


def test_files_belong_to_the_attempt(tmp_path: Path) -> None:
    def write_and_delete(job: Job[Any]) -> File:
        old, new = job.files.write("old"), job.files.write("new", "n.txt")
        job.files.delete(old)
        return new

    here = Here(tmp_path)
    file = here.run(call(write_and_delete))
    assert file.key == "files/1-0/0.0/1/n.txt"
    assert here.results[0].deleted == ("files/1-0/0.0/0/file",)
    assert [blob.key for blob in here.store.list("files/")] == [file.key]


def test_a_function_that_the_worker_does_not_have(tmp_path: Path) -> None:
    flat, payload = flatten_root(leaf(), "0", Policy.of(Config()))
    here = Here(tmp_path)
    body = payload.replace(b":leaf", b":leav")
    result, _ = attempt.run(Task("0.0", 0, body), flat.kinds[0], {}, here.place())
    assert result.failure is not None
    assert "the worker finds no function leav in " in result.failure.message
    body = payload.replace(b"tests.worker", b"tests.warker")
    result, _ = attempt.run(Task("0.0", 0, body), flat.kinds[0], {}, here.place())
    assert result.failure is not None
    assert result.failure.message.startswith("ModuleNotFoundError")


def test_nothing_runs_after_the_attempt(tmp_path: Path) -> None:
    from toil_core.workflow import job as jobs

    Here(tmp_path).run(call(lambda job: os.getpid()))
    assert jobs.current is None
    assert "tests.workflow.here" in sys.modules
