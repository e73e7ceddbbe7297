"""Whole runs: the user's program, the leader, the single machine, forked attempts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toil_core import File, Job, Toil, job, run
from toil_core.errors import GraphError, JobStoreExists, NoSuchJobStore, UsageError, WorkflowFailed

WORDS = """
from collections import Counter
from dataclasses import dataclass
from toil_core import File, Job, job, main

@dataclass
class Part:
    words: Counter

@job(cores=0.5, memory="64 MiB")
def count(job, part: File):
    return Part(Counter(job.files.read(part).read_text().split()))

class Merge(Job):
    def __init__(self, parts):
        super().__init__(cores=0.5, name="merge")
        self.parts = parts
    def run(self):
        assert all(isinstance(part, Part) for part in self.parts)
        return sum((part.words for part in self.parts), Counter())

@job(disk="1 MiB")
def words(job, text: File, parts: int = 3):
    lines = job.files.read(text).read_text().splitlines(keepends=True)
    files = [job.files.write("".join(lines[i::parts])) for i in range(parts)]
    return job.add_follow_on(Merge([job.add_child(count(file)) for file in files]))
"""
GUARDED = "if __name__ == '__main__':\n    main(words)\n"
TEXT = "a b a\nc a\nb b b b\n"


def program(folder: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "", "TOIL_DISABLE_PROGRESS": "true"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, input=stdin, capture_output=True, text=True, timeout=200, check=False, env=environment
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "words.py").write_text(WORDS + GUARDED)
    return tmp_path


def test_a_script(folder: Path) -> None:
    done = program(folder, "words.py", "./store", "--text", "text.txt")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"a": 3, "b": 5, "c": 1}
    assert not (folder / "store").exists()


def test_a_module(folder: Path) -> None:
    package = folder / "some" / "package"
    package.mkdir(parents=True)
    (folder / "words.py").rename(package / "words.py")
    done = program(folder, "-m", "some.package.words", "./store", "--text", "text.txt", "--clean", "never")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"a": 3, "b": 5, "c": 1}
    again = program(folder, "-m", "some.package.words", "./store", "--text", "text.txt")
    assert again.returncode == 2
    assert "holds a workflow already" in again.stderr
    assert again.stderr.count("\n") == 1
    again = program(folder, "-m", "some.package.words", "./store", "--restart")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"a": 3, "b": 5, "c": 1}


def test_standard_input_as_in_a_notebook(folder: Path) -> None:
    text = (
        WORDS
        + "from toil_core import Toil\nwith Toil({}, './store') as toil:\n    print(sorted(toil.start(words(toil.import_file('text.txt'))).items()))\n"
    )
    done = program(folder, "-", stdin=text)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[('a', 3), ('b', 5), ('c', 1)]\n"


def test_a_script_that_starts_when_it_is_imported(folder: Path) -> None:
    (folder / "words.py").write_text(WORDS + "main(words)\n")
    done = program(folder, "words.py", "./store", "--text", "text.txt", "--retry-count", "0")
    assert done.returncode != 0
    assert "if __name__ == " in done.stderr


@job
def fail_until(job: Job[object], marker: Path) -> str:
    if not marker.exists():
        raise ValueError("not yet")
    return "done"


@job
def note_run(job: Job[object], folder: Path) -> str:
    with (folder / "runs").open("a") as file:
        file.write("x")
    return job.add_child(fail_until(folder / "marker"))  # type: ignore[return-value]


def test_restart_goes_on_where_it_failed(tmp_path: Path) -> None:
    store = f"file:{tmp_path / 'store'}"
    with pytest.raises(WorkflowFailed, match="not yet"):
        run(note_run(tmp_path), job_store=store, retry_count=0)
    with pytest.raises(JobStoreExists):
        run(note_run(tmp_path), job_store=store)
    (tmp_path / "marker").touch()
    assert run(note_run(tmp_path), job_store=store, restart=True) == "done"
    assert (tmp_path / "runs").read_text() == "x"
    assert not (tmp_path / "store").exists()


@job
def write(job: Job[object], text: str) -> File:
    with job.files.create("out.txt") as out:
        out.write(text.encode())
    return out.file


@job
def replace_file(job: Job[object], old: File) -> list[File]:
    path = job.files.copy(old)
    path.write_text(path.read_text().upper())
    job.files.delete(old)
    return [job.files.write(path, move=True)]


def test_files_from_job_to_job_and_out(tmp_path: Path) -> None:
    root = write("text")
    with Toil({"clean": "always"}, str(tmp_path / "store")) as toil:
        first = root.add_child(replace_file(root.rv()))
        root.add_follow_on(check_text(first.rv(0), "TEXT"))
        file = toil.start(root)
        with pytest.raises(Exception, match="no longer in the job store"):
            toil.export_file(file, tmp_path / "x")
    assert not (tmp_path / "store").exists()
    with Toil({"clean": "never"}, str(tmp_path / "store")) as toil:
        toil.export_file(toil.start(write("out")), tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "out"
    assert (tmp_path / "store").exists()


@job
def check_text(job: Job[object], file: File, text: str) -> None:
    assert job.files.open(file).read() == text.encode()


@job
def from_parent(job: Job[object]) -> list[int]:
    job.add_child(check_equal(job, [1, 2]))
    return [1, 2]


@job(isolated=False)
def check_equal(left: object, right: object) -> None:
    assert left == right


def test_a_child_of_a_running_job_is_given_its_value(tmp_path: Path) -> None:
    assert run(from_parent(), job_store=str(tmp_path / "store")) == [1, 2]


@job(isolated=False)
def spread(job: Job[object], depth: int) -> int:
    if not depth:
        return 1
    below = [job.add_child(spread(depth - 1)) for _ in range(3)]
    return job.add_follow_on(total(below))  # type: ignore[return-value, arg-type]


@job(isolated=False)
def total(numbers: list[int]) -> int:
    return sum(numbers)


def test_many_jobs_in_shared_processes(tmp_path: Path) -> None:
    assert run(spread(4), job_store=str(tmp_path / "store")) == 81


@job
def deep(job: Job[object], depth: int) -> str:
    return job.add_child(deep(depth - 1)) if depth else "end"  # type: ignore[return-value]


def test_a_promise_of_a_promise_of_a_promise(tmp_path: Path) -> None:
    assert run(deep(60), job_store=str(tmp_path / "store")) == "end"


def test_mistakes_leave_no_store(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    lonely = deep(1)
    lonely.add_child(deep(1)).add_child(lonely)
    with pytest.raises(GraphError):
        run(lonely, job_store=store)
    with pytest.raises(NoSuchJobStore, match="leave --restart out"):
        run(deep(1), job_store=store, restart=True)
    with Toil({}, store) as toil, pytest.raises(UsageError, match="needs the option --restart"):
        toil.restart()
    with pytest.raises(UsageError, match="there is no option retries"):
        run(deep(1), job_store=store, retries=3)
    with pytest.raises(UsageError, match="default_memory: 'x'"):
        run(deep(1), job_store=store, default_memory="x")
    with pytest.raises(UsageError, match="context manager"):
        Toil({}, store).start(deep(1))
    with pytest.raises(UsageError, match="which job store"):
        Toil({})
    assert not Path(store).exists()


ODD = """
import sys
from toil_core import job, main

@job(cores=0.1, memory="64 MiB", tries=1)
def undecodable():
    raise ValueError("file caf\\udce9 \\x1b[31mis red")

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no")

@job(cores=0.1, memory="64 MiB", tries=1)
def silent():
    raise Silent

@job(cores=0.1, memory="64 MiB", tries=1)
def fine():
    return 7

if __name__ == "__main__":
    main(globals()[sys.argv.pop(1)])
"""


@pytest.mark.parametrize(
    ("name", "says"), [("undecodable", "ValueError: file caf\\udce9 is red"), ("silent", "Silent: (its text cannot be had: RuntimeError)")]
)
def test_errors_that_cannot_be_written_as_they_are_are_told_all_the_same(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    ended = program(tmp_path, "odd.py", name, "my store")
    assert ended.returncode == 1
    assert f"  {name} 0.0: failed: {says}\n    its log: toil logs 'file:{tmp_path}/my store' 0.0" in ended.stderr
    assert "\x1b" not in ended.stderr


def test_a_script_without_its_guard_is_told_so_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("from toil_core import job, main\n@job\ndef f(): return 1\nmain(f)\n")
    ended = program(tmp_path, "bare.py", "store")
    assert ended.returncode == 1
    assert "the script starts a workflow when it is imported; start it below `if __name__" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_result_is_told_when_the_store_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toil_core.drivers.file import FileJobStore

    def refuse(store: FileJobStore) -> None:
        raise UsageError("not now")

    monkeypatch.setattr(FileJobStore, "destroy", refuse)
    assert run(job(lambda: 7, cores=0.1, memory="64 MiB")(), job_store=str(tmp_path / "store")) == 7


def test_a_result_that_cannot_be_written_is_kept(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "odd.py", "fine", "store"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=200,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "odd.py: the workflow succeeded, but what it returned cannot be written to standard output: No space left on device\n"
    )
    again = program(tmp_path, "odd.py", "fine", "store", "--restart")
    assert (again.returncode, again.stdout) == (0, "7\n")
