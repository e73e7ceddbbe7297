"""What jobs defer is done, whatever is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from toil_core import Job, job, run
from toil_core.errors import WorkflowFailed
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.testing.runners import await_death
from toil_core.wire import keys
from toil_core.wire.work import Setup
from toil_core.worker import deferred, folders
from toil_core.workflow.pickling import Writer

SMALL: dict[str, Any] = {"cores": 0.5, "memory": 64 << 20, "disk": 1 << 20}
SECONDS = 60.0


def note(path: Path, text: str) -> None:
    print(f"noted {text}")
    with open(path, "a") as file:
        file.write(f"{text} {len(os.listdir())}\n")


def stay(path: Path) -> None:
    note(path, "staying")
    signal.pause()


def fail(path: Path) -> None:
    note(path, "failing")
    raise ValueError("not this time")


@job(**SMALL)
def defers(job: Job[Any], path: Path, *functions: Any) -> str:
    Path("left").touch()
    job.defer(note, path, "first")
    for function in functions:
        job.defer(function, path)
    job.defer(note, path, text="last")
    with open(path, "a") as file:
        file.write("body\n")
    return "done"


@job(**SMALL)
def killed(job: Job[Any], path: Path, whom: str) -> str:
    if Path(f"{path}-tried").exists():
        return "again"
    Path(f"{path}-tried").touch()
    job.defer(note, path, "one")
    job.defer(note, path, "two")
    os.kill({"attempt": os.getpid(), "slot": os.getppid()}[whom], signal.SIGKILL)
    signal.pause()
    return "never"


@job(**SMALL)
def waits(job: Job[Any], folder: Path, started: Path) -> None:
    job.defer(note, folder / "noted", "one")
    job.defer(note, folder / "noted", "two")
    with open(started, "w") as file:
        file.write(f"{os.getpid()} {os.getppid()} {parent(os.getppid())}")
    signal.pause()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def options(folder: Path, **more: Any) -> dict[str, Any]:
    work = folder / "work"
    work.mkdir()
    return {"job_store": f"file:{folder}/store", "work_dir": str(work), "disable_progress": True, **more}


def test_they_run_last_first_in_the_attempts_folder_and_print_into_its_log(tmp_path: Path) -> None:
    given = options(tmp_path, clean="never", write_logs_from_all_jobs=True)
    assert run(defers(tmp_path / "noted"), **given) == "done"
    assert (tmp_path / "noted").read_text() == "body\nlast 1\nfirst 1\n"
    with open_job_store(given["job_store"], Config()) as store:
        (kept,) = store.list(keys.log("0.0", "1-1"))
        with store.read(kept.key) as log:
            assert log.read() == b"noted last\nnoted first\n"


@pytest.mark.parametrize("isolated", [True, False])
def test_one_that_fails_or_does_not_end_does_not_keep_the_others_from_running(tmp_path: Path, isolated: bool) -> None:
    node: Job[Any] = job(defers, isolated=isolated)(tmp_path / "noted", fail, stay)
    assert run(node, **options(tmp_path, deferred_time=5.0)) == "done"
    assert [line.split()[0] for line in (tmp_path / "noted").read_text().splitlines()] == ["body", "last", "staying", "failing", "first"]


@pytest.mark.parametrize("isolated", [True, False])
def test_after_the_attempt_was_killed(tmp_path: Path, isolated: bool) -> None:
    node: Job[Any] = job(killed, isolated=isolated)(tmp_path / "noted", "attempt")
    assert run(node, **options(tmp_path, retry_backoff_seconds=0.0)) == "again"
    assert [line.split()[0] for line in (tmp_path / "noted").read_text().splitlines()] == ["two", "one"]


def test_after_the_slot_was_killed(tmp_path: Path) -> None:
    given = options(tmp_path)
    assert run(killed(tmp_path / "noted", "slot"), **given) == "again"
    assert [line.split()[0] for line in (tmp_path / "noted").read_text().splitlines()] == ["two", "one"]
    assert not os.listdir(tmp_path / "work")


def look(pipes: Path) -> None:
    with open(pipes / "next"):  # the next attempt has written its file by now
        (pipes / "seen").write_text(Path("whose").read_text())
    Path("whose").unlink()
    (pipes / "looked").write_text("yes")


@job(**SMALL)
def killed_beside_the_next(job: Job[Any], pipes: Path) -> str:
    if not (pipes / "tried").exists():
        Path("whose").write_text("first")
        job.defer(look, pipes)
        (pipes / "tried").touch()
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()
    Path("whose").write_text("second")
    with open(pipes / "next", "w"):
        pass
    (pipes / "looked").read_text()
    return Path("whose").read_text()


def test_after_the_slot_was_killed_each_attempt_has_its_own_folder(tmp_path: Path) -> None:
    given = options(tmp_path)
    os.mkfifo(tmp_path / "next")
    os.mkfifo(tmp_path / "looked")
    assert run(killed_beside_the_next(tmp_path), **given) == "second"
    assert (tmp_path / "seen").read_text() == "first"
    assert not os.listdir(tmp_path / "work")


@pytest.mark.parametrize("isolated", [True, False])
def test_the_log_that_tells_why_one_failed_is_kept(tmp_path: Path, isolated: bool) -> None:
    given = options(tmp_path, clean="never")
    node: Job[Any] = job(defers, isolated=isolated)(tmp_path / "noted", fail)
    assert run(node, **given) == "done"
    with open_job_store(given["job_store"], Config()) as store:
        (kept,) = store.list(keys.log("0.0", "1-1"))
        with store.read(kept.key) as log:
            text = log.read().decode()
    assert "ValueError: not this time\n" in text and "deferred function fail failed; its log tells why\n" in text


PROGRAM = """
from pathlib import Path
import sys
from toil_core import run
from tests.worker.test_deferred import options, waits
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run(waits(folder, folder / "started"), **options(folder))
"""


def leader(folder: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A run in a process of its own; it, and the processes of its attempt, slot and fork server."""
    os.mkfifo(folder / "started")
    (folder / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, folder / "program.py", folder], env=environment)
    return process, list(map(int, (folder / "started").read_text().split()))


def await_two(pipe: Path) -> list[str]:
    """What two functions wrote into a pipe."""
    with os.fdopen(os.open(pipe, os.O_RDWR), "r") as noted:  # a pipe without readers for a moment would lose what is written then
        return [noted.readline().split()[0] for _ in range(2)]


def await_removal(folder: Path) -> None:
    """Wait until the last process that holds a lock on a file below the folder's deferred ones has removed them."""
    for path in folder.glob("toil-run-*"):
        for pid in holders(str(path)):
            await_death(pid, SECONDS)


def holders(path: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(b"deferred import main" in word for word in words) and os.fsencode(path) in words:
                found.append(int(entry.name))
    return found


def test_after_the_leader_with_its_host_was_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "noted")
    process, (attempt, slot, server) = leader(tmp_path)
    process.kill()
    process.wait()
    assert await_two(tmp_path / "noted") == ["two", "one"]
    for pid in (attempt, slot, server):
        await_death(pid, SECONDS)


def test_after_everything_was_killed_the_next_host_runs_them(tmp_path: Path) -> None:
    process, pids = leader(tmp_path)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGSTOP)
    process.kill()
    process.wait()
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
        await_death(pid, SECONDS)
    assert not (tmp_path / "noted").exists()
    os.mkfifo(tmp_path / "noted")
    folder = folders.RunFolder(tmp_path / "work")
    assert await_two(tmp_path / "noted") == ["two", "one"]
    await_removal(tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == [folder.path]
    folder.remove()


def leave(path: Path) -> None:
    child = os.fork()
    if not child:
        signal.pause()
    path.write_text(str(child))


def test_what_a_function_leaves_running_is_ended(tmp_path: Path) -> None:
    path = deferred.path_of(str(tmp_path), f"{tmp_path}/0", 0)
    writer = Writer({})
    writer.add((leave, (tmp_path / "pid",), {}), list)
    deferred.append(path, Setup(path=(os.getcwd(),)), "leave", writer.payload())
    deferred.run_left([path])
    await_death(int((tmp_path / "pid").read_text()), SECONDS)
    assert not os.path.exists(path)


@pytest.mark.parametrize("spoilt", ["", "deferred", "deferred/0-0"])
def test_what_another_user_could_have_written_is_never_run(tmp_path: Path, spoilt: str) -> None:
    run_folder = tmp_path / "toil-run-1-2"
    run_folder.mkdir(mode=0o700)
    path = deferred.path_of(str(run_folder), f"{run_folder}/0", 0)
    deferred.append(path, Setup(), "name", b"call")
    assert deferred.left(str(run_folder)) == [path]
    os.chmod(run_folder / spoilt, 0o777)
    assert deferred.left(str(run_folder)) == []


def test_a_torn_record_is_left_out(tmp_path: Path) -> None:
    path = str(tmp_path / "deferred" / "0-0")
    deferred.append(path, Setup(), "whole", b"not a pickle")
    size = os.stat(path).st_size
    deferred.append(path, Setup(), "torn", b"not a pickle")
    os.truncate(path, os.stat(path).st_size - 1)
    assert deferred.run_all(path, SECONDS, lambda: None) == ["deferred function whole failed; its log tells why"]
    assert size and not os.path.exists(path)


def test_no_file_nothing_to_do(tmp_path: Path) -> None:
    assert deferred.run_all(str(tmp_path / "none"), SECONDS, lambda: None) == []
    assert deferred.set_aside(str(tmp_path), f"{tmp_path}/0", 0) == ""
    assert deferred.left(str(tmp_path)) == []


def test_nothing_is_left_to_do_when_another_has_just_removed_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_folder = tmp_path / "toil-run-1-2"
    run_folder.mkdir(mode=0o700)
    deferred.append(deferred.path_of(str(run_folder), f"{run_folder}/0", 0), Setup(), "name", b"call")
    listdir = os.listdir

    def late(path: str) -> list[str]:
        shutil.rmtree(run_folder)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", late)
    assert deferred.left(str(run_folder)) == []
    monkeypatch.undo()
    assert not run_folder.exists()


@job(**SMALL)
def mistaken(job: Job[Any], what: str) -> None:
    if what == "promise":
        job.defer(print, job.add_child(defers(Path("x"))))
    elif what == "lock":
        import threading

        job.defer(print, threading.Lock())
    else:
        job.defer("rm")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "why"), [("promise", "given the promise of job 'defers'"), ("lock", "cannot pickle '_thread.lock'"), ("text", "takes a function, not 'rm'")]
)
def test_mistakes_are_told_when_they_are_made(tmp_path: Path, what: str, why: str) -> None:
    with pytest.raises(WorkflowFailed, match=why):
        run(mistaken(what), **options(tmp_path))
