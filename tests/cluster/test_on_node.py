"""What a node's own tool says of the jobs that run there."""

from __future__ import annotations

import json
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


ENGINE = """
import signal, sys
from pathlib import Path

signal.signal(signal.SIGUSR1, lambda *_: print("told", flush=True))
print("up", flush=True)
while True:
    signal.pause()
"""


@contextmanager
def keeper(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """What keeps an engine running, and the engine, which is up; both print to the keeper's output."""
    (home / "engine.json").write_text(json.dumps({"command": [sys.executable, "-c", ENGINE], "environment": {}}))
    keeper = subprocess.Popen([sys.executable, on_node.__file__, "keep", str(home)], stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(home)})
    assert keeper.stdout is not None
    try:
        assert keeper.stdout.readline() == "up\n"
        yield keeper, int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text())
    finally:
        keeper.terminate()
        keeper.communicate(timeout=SECONDS)
    assert keeper.returncode == 0


def test_an_engine_that_dies_is_started_again_but_not_while_its_node_goes(tmp_path: Path) -> None:
    with keeper(tmp_path) as (kept, engine):
        assert kept.stdout is not None
        os.kill(engine, signal.SIGKILL)
        assert "code -9; it is started again" in kept.stdout.readline()
        assert kept.stdout.readline() == "up\n"
        engine = int(Path(f"/proc/{kept.pid}/task/{kept.pid}/children").read_text())
        drain = [sys.executable, on_node.__file__, "drain", str(tmp_path), "0"]
        assert subprocess.run(drain, stdout=subprocess.PIPE, env={**os.environ, "HOME": str(tmp_path)}, check=True).stdout == b"0\n"
        assert kept.stdout.readline() == "told\n"
        os.kill(engine, signal.SIGKILL)
        assert "code -9; it is not started again, as this node goes" in kept.stdout.readline()


def test_an_engine_that_ends_just_when_it_is_to_be_told_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, kill = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE), os.kill

    def killing(pid: int, number: int) -> None:
        if pid == engine.pid:
            engine.communicate(b"end\n", SECONDS)
            kill(pid, number)

    monkeypatch.setattr(os, "kill", killing)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "engine.lock").write_text(str(os.getpid()))
    assert on_node.drain(str(tmp_path), 0) == 0
    assert engine.returncode == 0


def test_an_engine_whose_keeper_ended_before_it_began_does_not_begin() -> None:
    script = """
import os, subprocess, sys
from toil_core.cluster.on_node import end_with_parent
keeper = int(sys.argv[1]) or os.getpid()
print(subprocess.call(["true"], preexec_fn=lambda: end_with_parent(keeper)))
"""
    for keeper, code in ((0, "0\n"), (1 << 22, f"{-signal.SIGTERM}\n")):  # no process has that number
        assert subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(keeper)], capture_output=True, text=True, check=True).stdout == code


def test_a_node_that_does_not_go_after_all_has_its_engine_from_the_next_keeper(tmp_path: Path) -> None:
    (tmp_path / on_node.GOING).touch()
    with keeper(tmp_path):
        assert not (tmp_path / on_node.GOING).exists()


def test_an_engine_that_was_started_just_as_the_node_began_to_go_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not there yet when the others are told."""
    start, said = subprocess.Popen, []

    def starting(command: list[str], **how: object) -> subprocess.Popen[bytes]:
        (tmp_path / on_node.GOING).touch()
        return start(command, **how)  # type: ignore[call-overload,no-any-return]

    def saying(text: str) -> None:
        said.append(text)
        signal.raise_signal(signal.SIGTERM)  # which is blocked, and waited for

    monkeypatch.setattr(subprocess, "Popen", starting)
    monkeypatch.setattr(on_node, "say", saying)
    (tmp_path / "engine.json").write_text(json.dumps({"command": [sys.executable, "-c", ENGINE], "environment": {}}))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        on_node.keep(str(tmp_path))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert len(said) == 1 and "it is not started again" in said[0]
