"""What a type checker sees of a workflow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLE = '''
from collections import Counter
from typing import Any
from toil_core import File, Job, job, run

@job(cores=0.5, memory="64 MiB")
def count(job: Job[Any], part: File, least: int = 1) -> Counter[str]:
    return Counter(job.files.read(part).read_text().split())

@job
def merge(counts: list[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())

@job
def words(job: Job[Any], text: File) -> Counter[str]:
    counts = [job.add_child(count(text)) for _ in range(3)]
    return job.add_follow_on(merge([one.rv() for one in counts])).rv()

class Sort(Job[list[str]]):
    def __init__(self, text: File) -> None:
        super().__init__(cores=2)
        self.text = text
    def run(self) -> list[str]:
        return sorted(self.files.read(self.text).read_text().split())

def check(file: File) -> None:
    reveal_type(count(file))
    reveal_type(count(file, least=2).rv())
    reveal_type(count(file).rv("key"))
    reveal_type(Sort(file).rv())
    reveal_type(Job[None]().add_child(Sort(file)))
    reveal_type(job(len)("abc"))
    reveal_type(count.requiring(memory="1 GiB")(file))
    reveal_type(run(words(file), job_store="x"))
    count("text")
    count()
    job(memroy="1 GiB")
'''

LOOSE = '''
from collections import Counter
from toil_core import File, job, main

@job
def count(job, part: File) -> Counter:
    return Counter(job.files.read(part).read_text().split())

@job
def merge(job, counts: list[Counter]) -> Counter:
    return sum(counts, Counter())

@job
def words(job, text: File, parts: int = 4) -> Counter:
    counts = [job.add_child(count(text)) for _ in range(parts)]
    return job.add_follow_on(merge(counts))

def check(file: File) -> None:
    reveal_type(count(file))

main(words)
'''


def checked(tmp_path: Path, text: str, *options: str) -> list[str]:
    sample = tmp_path / "sample.py"
    sample.write_text(text)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary", *options, str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=240, check=False)
    assert not done.stderr
    return [line.partition(": ")[2] for line in done.stdout.splitlines() if "sample.py" in line]


def test_a_type_checker_sees_what_jobs_return(tmp_path: Path) -> None:
    lines = checked(tmp_path, SAMPLE, "--strict")
    revealed = [line.partition("is ")[2].strip('"').replace("collections.", "").replace("builtins.", "") for line in lines if "Revealed" in line]
    counter, node = "Counter[str]", "toil_core.workflow.job.Job"
    assert revealed == [f"{node}[{counter}]", counter, "Any", "list[str]", "sample.Sort", f"{node}[int]", f"{node}[{counter}]", counter]
    errors = [line for line in lines if line.startswith("error")]
    assert len(errors) == 3, errors


def test_without_annotations_it_does_not_complain(tmp_path: Path) -> None:
    lines = checked(tmp_path, LOOSE, "--config-file=", "--check-untyped-defs")
    assert [line for line in lines if line.startswith("error")] == []
    assert "Job[collections.Counter[Any]]" in lines[0]
