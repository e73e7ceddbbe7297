"""Whole workflows through the command line: on a cluster that is started for them, and on one that is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from distributed.utils import json_load_robust
from toil_core.testing.runners import await_death, await_file

from toil_dask.testing import Cluster

SECONDS = 200.0
SCRIPT = '''
import os
from pathlib import Path

from toil_core import job, main
from toil_core.testing.runners import await_file


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def square(job, number: int) -> int:
    print("squares", number)
    job.log(f"squaring {number}")
    return number * number


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def total(job, parts: list[int]) -> int:
    return sum(parts)


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def last(job, before: int, halt: str) -> int:
    """Say where this runs; wait until that is known, unless it was before."""
    with open(f"{halt}/tries", "a") as tries:
        tries.write("x")
    if not Path(f"{halt}/met").exists():
        Path(f"{halt}/scratch").write_text(f"{os.getpid()}")
        os.rename(f"{halt}/scratch", f"{halt}/runs")
        await_file(f"{halt}/never")
    return before


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def squares(job, count: int, halt: str = ""):
    summed = job.add_follow_on(total([job.add_child(square(number)) for number in range(count)]))
    return job.add_follow_on(last(summed, halt)) if halt else summed


if __name__ == "__main__":
    main(squares)
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "squares.py"
    path.write_text(SCRIPT)
    return path


def begin(script: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start a leader, in a process group of its own."""
    environment = {**os.environ, "TMPDIR": str(script.parent)}
    command = [str(Path(sys.executable).with_name("toil")), "run", str(script), *arguments, "--retry-count", "0"]
    return subprocess.Popen(
        command, cwd=script.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def end_of(leader: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = leader.communicate(timeout=SECONDS)
    return leader.returncode, out.strip(), said


def marked(text: str) -> list[int]:
    """The processes whose command line holds the text."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if text.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def test_without_an_address_a_cluster_is_started_and_ended(script: Path) -> None:
    code, out, said = end_of(begin(script, ["file:store", "--count", "4", "--batch-system", "dask"]))
    assert (code, out) == (0, "14"), said
    assert marked(str(script.parent / "toil-dask-")) == []
    assert not list(script.parent.glob("toil-dask-*"))


def test_such_a_cluster_ends_with_a_leader_that_is_killed(script: Path) -> None:
    leader = begin(script, ["file:store", "--count", "2", "--halt", str(script.parent), "--batch-system", "dask"])
    with leader:
        await_file(script.parent / "runs")
        found = marked(str(script.parent / "toil-dask-"))
        assert len(found) == 2
        os.killpg(leader.pid, signal.SIGKILL)
    for pid in [*found, int((script.parent / "runs").read_text())]:
        await_death(pid, SECONDS)


def test_a_workflow_goes_on_when_its_node_is_killed_and_no_try_is_charged(script: Path, cluster: Cluster) -> None:
    leader = begin(script, ["file:store", "--count", "4", "--halt", str(script.parent), *cluster.arguments()])
    await_file(script.parent / "runs")
    (script.parent / "met").touch()
    cluster.kill("one")
    cluster.add("one")
    code, out, said = end_of(leader)
    assert (code, out) == (0, "14"), said
    assert "node lost" in said and (script.parent / "tries").read_text() == "xx"


def test_a_workflow_is_restarted_after_its_leader_was_killed(script: Path, cluster: Cluster) -> None:
    """What ran is ended at once, runs again, and no try is charged."""
    arguments = ["file:store", *cluster.arguments(), "--clean", "never", "--retry-count", "0"]
    with begin(script, [*arguments, "--count", "4", "--halt", str(script.parent)]) as leader:
        await_file(script.parent / "runs")
        os.killpg(leader.pid, signal.SIGKILL)
    await_death(int((script.parent / "runs").read_text()), SECONDS)
    (script.parent / "met").touch()
    code, out, said = end_of(begin(script, [*arguments, "--restart"]))
    assert (code, out) == (0, "14"), said


def test_messages_of_jobs_are_shown_while_they_run(script: Path, cluster: Cluster) -> None:
    code, _, said = end_of(begin(script, ["file:store", "--count", "2", "--real-time-logging", *cluster.arguments()]))
    assert code == 0 and "squaring" in said, said


def test_a_cluster_that_does_not_answer_is_told_in_a_line(script: Path) -> None:
    options = ["--batch-system", "dask", "--dask-scheduler", "tcp://127.0.0.1:9", "--dask-connect-timeout", "1"]
    code, _, said = end_of(begin(script, ["file:store", "--count", "2", *options]))
    assert code == 2 and "Traceback" not in said and "the Dask scheduler at tcp://127.0.0.1:9 cannot be used" in said, said


def test_a_dask_cluster_of_the_users_own(script: Path) -> None:
    """Started by Dask's own commands, with a nanny, one thread and no resources; jobs are as many as its threads, and Dask counts nothing."""
    told = str(script.parent / "scheduler.json")
    environment = {**os.environ, "TMPDIR": str(script.parent), "DASK_TEMPORARY_DIRECTORY": str(script.parent)}
    commands = [
        ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", told, "--no-dashboard"],
        ["distributed.cli.dask_worker", "--scheduler-file", told, "--nthreads", "1", "--memory-limit", "1GiB", "--no-dashboard"],
    ]
    with open(script.parent / "log", "wb") as log:
        started = [
            subprocess.Popen([sys.executable, "-m", *command], cwd=script.parent, env=environment, stdout=log, stderr=log) for command in commands
        ]
    try:
        address = json_load_robust(told, timeout=SECONDS)["address"]
        options = ["--batch-system", "dask", "--dask-scheduler", address, "--dask-connect-timeout", "60", "--default-memory", "64M"]
        code, out, said = end_of(begin(script, ["file:store", "--count", "6", *options]))
        assert (code, out) == (0, "55"), said
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(SECONDS)
