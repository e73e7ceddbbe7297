"""A workflow for tests that look at a job afterwards: it is given a file and a value, writes a file, and fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toil_core import Job, job, main


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def make(job: Job) -> dict[str, Any]:
    return {"file": job.files.write("some content"), "divisor": 0}


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def use(job: Job, made: dict[str, Any]) -> float:
    text = job.files.read(made["file"]).read_text()
    Path("left").write_text(text)
    job.files.write(text.upper())
    print("it has", len(text), "letters")
    return float(len(text) / made["divisor"])


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def last(job: Job, used: float) -> float:
    return used


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def top(job: Job) -> Any:
    made: Any = job.add_child(make())
    used: Any = job.add_follow_on(use(made))
    return used.add_follow_on(last(used))


if __name__ == "__main__":
    main(top)
