"""What a node's own tool says of the jobs that run there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toil_core.cluster import on_node
from toil_core.testing.runners import await_death, await_file

SECONDS = 60.0
LEADER = """
import sys
from pathlib import Path
from toil_core.drivers.single_machine import SingleMachine
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import body, kind

folder, action, how = sys.argv[1:]
with SingleMachine(Config([EngineOptions(work_dir=folder)])) as system:
    run = Run(system, Path(folder), 60.0)
    if action == "wait":
        names = [(run.path(f"started-{number}"), run.path(f"go-{number}")) for number in (1, 2)]
        requests = [run.request(body("wait", *each), of=kind(isolated=how == "isolated")) for each in names]
    else:
        requests = [run.request(body("stop slot", run.path("pids")), body("nothing"), chain=how == "chain")]
    system.submit(requests)
    for request in requests:
        run.ends([request])
        print(len(run.results(request)), flush=True)
    sys.stdin.read()
"""


def busy(home: Path) -> int:
    environment = {**os.environ, "HOME": str(home)}  # a node is told by the home of its processes
    return int(subprocess.run([sys.executable, on_node.__file__, "busy"], stdout=subprocess.PIPE, env=environment, check=True).stdout)


@contextmanager
def leader(home: Path, action: str, how: str) -> Iterator[subprocess.Popen[str]]:
    """A program that runs jobs itself; it prints how many results each request has, in order."""
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, str(home), action, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


@pytest.mark.parametrize("how", ["isolated", "shared"])
def test_jobs_are_counted_whether_they_share_a_process_or_not(tmp_path: Path, how: str) -> None:
    assert busy(tmp_path) == 0
    with leader(tmp_path, "wait", how) as process:
        assert process.stdout is not None
        for number in (1, 2):
            await_file(tmp_path / f"started-{number}")
        assert busy(tmp_path) == 2
        (tmp_path / "go-1").touch()
        assert process.stdout.readline() == "1\n"
        assert busy(tmp_path) == 1
        (tmp_path / "go-2").touch()
        assert process.stdout.readline() == "1\n"
        assert busy(tmp_path) == 0


@pytest.mark.parametrize("how", ["chain", "batch"])
def test_a_request_counts_between_two_of_its_jobs_too(tmp_path: Path, how: str) -> None:
    with leader(tmp_path, "stop", how) as process:
        assert process.stdout is not None
        await_file(tmp_path / "pids")
        job, slot = map(int, (tmp_path / "pids").read_text().split())
        await_death(job, SECONDS)
        assert busy(tmp_path) == 1
        os.kill(slot, signal.SIGCONT)
        assert process.stdout.readline() == "2\n"
        assert busy(tmp_path) == 0


def test_a_process_that_closes_other_files_meanwhile_is_not_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readlink = os.readlink

    def closed_first(path: str) -> str:
        if path.endswith("/fd/0"):
            raise FileNotFoundError(path)
        return readlink(path)

    with leader(tmp_path, "wait", "shared") as process:
        assert process.stdout is not None
        for number in (1, 2):
            await_file(tmp_path / f"started-{number}")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(os, "readlink", closed_first)
        assert on_node.requests(on_node.hosts()) == 2
        for number in (1, 2):
            (tmp_path / f"go-{number}").touch()
            assert process.stdout.readline() == "1\n"
