"""A workflow for tests that look at runs from outside: as many jobs as asked for, one of which may fail or wait."""

from __future__ import annotations

import time
from pathlib import Path

from toil_core import Job, job, main


@job(memory="64 MiB", cores=0.1)
def leaf(job: Job, number: int, fail: bool, gate: str) -> int:
    print("leaf says", number)
    if gate and number == 0:
        Path(gate + ".open").touch()
        while not Path(gate).exists():
            time.sleep(0.05)
    if fail and number == 1:
        raise ValueError("one is bad")
    return number


@job(memory="64 MiB", cores=0.1)
def top(job: Job, jobs: int = 3, fail: bool = False, gate: str = "") -> list[int]:
    return [job.add_child(leaf(number, fail, gate)) for number in range(jobs)]  # type: ignore[misc]


if __name__ == "__main__":
    main(top)
