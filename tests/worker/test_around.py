"""What happens around jobs: hooks of plugins, and messages that reach the leader while a job runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_plugins import add_plugin
from toil_core import Job, job, run
from toil_core.errors import WorkflowFailed

SMALL: dict[str, Any] = {"cores": 0.5, "memory": 64 << 20, "disk": 1 << 20}


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


class Opener(logging.Handler):
    """Lets the job that waits at a pipe go on once its message is here, and keeps every message."""

    def __init__(self, pipe: Path) -> None:
        super().__init__()
        self.pipe = pipe
        self.said: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "toil.job":
            self.said.append((record.levelno, record.getMessage()))
            if "go on" in record.getMessage():
                self.pipe.write_text("now")


@pytest.fixture
def opener(pipe: Path) -> Iterator[Opener]:
    handler = Opener(pipe)
    logger = logging.getLogger("toil.job")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@job(**SMALL)
def speaks(job: Job[Any], pipe: Path, big: int = 0) -> str:
    job.log("started" + "x" * big, "WARNING")
    job.log("go on")
    job.log("very detailed", "DEBUG")
    return pipe.read_text()


@pytest.mark.parametrize(("isolated", "big"), [(True, 0), (False, 0), (True, 300_000)])
def test_a_message_arrives_while_the_job_runs_and_only_once(tmp_path: Path, pipe: Path, opener: Opener, isolated: bool, big: int) -> None:
    node: Job[Any] = job(speaks, isolated=isolated)(pipe, big)
    assert run(node, job_store=f"file:{tmp_path}/store", log_level="DEBUG") == "now"
    assert [(level, text.partition(": ")[2][:20]) for level, text in opener.said] == [
        (logging.WARNING, ("started" + "x" * big)[:20]), (logging.INFO, "go on"), (logging.DEBUG, "very detailed")
    ]  # fmt: skip


@job(**SMALL)
def adds(job: Job[Any], pipe: Path) -> Any:
    return job.add_child(speaks(pipe))


def test_a_job_that_goes_on_in_the_same_request_is_heard_before_its_predecessors_commit_is(tmp_path: Path, pipe: Path, opener: Opener) -> None:
    assert run(adds(pipe), job_store=f"file:{tmp_path}/store") == "now"
    assert [text.partition(" ")[0] for _, text in opener.said] == ["speaks", "speaks"]


@job(**SMALL)
def logs(pipe: Path) -> str:
    logger = logging.getLogger("my.tool")
    logger.debug("too detailed")
    logger.warning("go on with %s", "care")
    return pipe.read_text()


def test_what_jobs_log_reaches_the_leader_when_that_is_asked_for(tmp_path: Path, pipe: Path, opener: Opener) -> None:
    assert run(logs(pipe), job_store=f"file:{tmp_path}/store", real_time_logging=True) == "now"
    assert opener.said == [(logging.WARNING, "logs 0.0: my.tool: go on with care")]


@job(**SMALL)
def logs_only() -> None:
    logging.getLogger("my.tool").error("nobody asked")


def test_and_not_otherwise(tmp_path: Path, opener: Opener) -> None:
    run(logs_only(), job_store=f"file:{tmp_path}/store")
    assert opener.said == []


@job(**SMALL, tries=2)
def says_and_dies(job: Job[Any], marker: Path) -> None:
    job.log("last words")
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), 9)


def test_what_a_killed_attempt_said_is_not_lost(tmp_path: Path, opener: Opener) -> None:
    run(says_and_dies(tmp_path / "marker"), job_store=f"file:{tmp_path}/store", retry_backoff_seconds=0.0)
    assert [text for _, text in opener.said] == ["says_and_dies 0.0: last words"] * 2


HOOKS = """
import os
from toil_core import hookimpl

@hookimpl
def toil_before_job(job, name, attempt, tmp):
    assert os.getcwd() == str(tmp)
    os.environ["FROM_HOOK"] = f"{name} {attempt}"
    if name == "refused":
        raise RuntimeError("not on this machine")

@hookimpl
def toil_after_job(job, name, requirement, error):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{name} {requirement.cores:g} {error}\\n")
    raise ValueError("hooks may be wrong")
"""

WORKFLOW = """
import os, sys
from toil_core import job, run
from toil_core.errors import WorkflowFailed

@job(cores=0.5, memory="64 MiB", disk="1 MiB", tries=1)
def good():
    return os.environ["FROM_HOOK"]

@job(cores=0.5, memory="64 MiB", disk="1 MiB", tries=1)
def bad():
    raise KeyError("lost")

@job(cores=0.5, memory="64 MiB", disk="1 MiB", tries=1)
def refused():
    print("never here")

if __name__ == "__main__":
    for place, node in enumerate((good(), bad(), refused())):
        try:
            print(run(node, job_store=f"file:store{place}", disable_progress=True))
        except WorkflowFailed as failed:
            print(str(failed).splitlines()[1].strip())
"""


def test_hooks_are_called_in_the_jobs_process(tmp_path: Path) -> None:
    add_plugin(tmp_path, "toil-watch", {"toil": {"watch": "watch_hooks"}}, {"watch_hooks": HOOKS})
    (tmp_path / "flow.py").write_text(WORKFLOW)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NOTES": str(tmp_path / "notes")}
    done = subprocess.run([sys.executable, "flow.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == [
        "good 1", "bad 0.0: failed: KeyError: 'lost'", "refused 0.0: failed: RuntimeError: not on this machine"
    ], done.stderr  # fmt: skip
    assert (tmp_path / "notes").read_text() == "good 0.5 \nbad 0.5 KeyError: 'lost'\n"


def test_a_job_that_fails_has_told_what_it_said(tmp_path: Path, opener: Opener) -> None:
    with pytest.raises(WorkflowFailed):
        run(says_and_fails(), job_store=f"file:{tmp_path}/store")
    assert [text for _, text in opener.said] == ["says_and_fails 0.0: before"]


@job(**SMALL, tries=1)
def says_and_fails(job: Job[Any]) -> None:
    job.log("before")
    raise ValueError("after")
