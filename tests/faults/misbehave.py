"""A workflow whose job misbehaves in a chosen way at its first attempt, and does well at its second."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from toil_core import job, main


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def hungry(job: Any) -> int:
    """Uses 200 MiB, and keeps it until it is ended or may have it."""
    print("filling memory")
    data = bytearray(os.urandom(1 << 20)) * 200
    memory = int(job.requirements.memory)
    if memory < len(data):
        signal.pause()
    return memory


@job(cores=0.1, memory="64 MiB", disk="1 MiB", wall_time=0.5)
def slow(job: Any) -> str:
    """Does not end until it has a minute."""
    if job.requirements.wall_time < 60:
        print("taking a rest")
        signal.pause()
    return "in time"


@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def wrong(marker: Path) -> str:
    """Raises an error at first."""
    for line in range(100):
        print("line", line)
    if first(marker):
        raise ValueError("these numbers do not add up")
    return "right"


@job(cores=0.1, memory="64 MiB", disk="64 KiB")
def greedy(job: Any) -> None:
    """Writes to its own folder until there is no room."""
    with (job.tmp / "large").open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass


def first(marker: Path) -> bool:
    """Whether this is the first call."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@job(cores=0.1, memory="64 MiB", disk="64 KiB")
def start(job: Any, what: str, marker: Path) -> Any:
    """Run one of the jobs.

    Args:
        what: Which.
        marker: A file to remember the first attempt by.
    """
    nodes = {"hungry": hungry(), "slow": slow(), "wrong": wrong(marker), "greedy": greedy()}
    return job.add_child(nodes[what])


if __name__ == "__main__":
    main(start)
