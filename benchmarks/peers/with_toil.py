"""Toil: its single machine batch system and file job store."""

# mypy: ignore-errors
# The peer is installed in an environment of its own, where no type checker looks.

from __future__ import annotations

from pathlib import Path
from typing import Any

from toil.common import Toil
from toil.job import Job

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform

SMALL = {"cores": 1, "memory": "100M", "disk": "1M"}


def start(order: Order, root: Job) -> Any:
    options = Job.Runner.getDefaultOptions(str(order.scratch / "store"))
    options.workDir = str(order.scratch)
    options.maxCores = order.cores
    options.clean = "always"
    options.disableProgress = True
    options.logLevel = "ERROR"
    options.retryCount = 0
    with order.timed(), Toil(options) as toil:
        return toil.start(root)


def fan(order: Order) -> None:
    root = Job.wrapFn(bodies.nothing, **SMALL)
    for i in range(order.size - 1):
        root.addChildFn(bodies.nothing, i, **SMALL)
    order.check(start(order, root), None)


def chain(order: Order) -> None:
    start(order, Job.wrapJobFn(link, 0, order.size, order.notes, **SMALL))
    order.check(len(bodies.hops(Path(order.notes))), order.size - 1)


def link(job: Job, before: int, size: int, notes: str) -> None:
    """A link that adds the next, since a chain of this length that is known at the start is too deep for Toil to pickle."""
    done = bodies.hop(before, notes)
    if done < size:
        job.addFollowOnJobFn(link, done, size, notes, **SMALL)


def grow(job: Job, depth: int) -> Any:
    if not depth:
        return 1
    below = [job.addChildJobFn(grow, depth - 1, **SMALL).rv() for _ in range(2)]
    return job.addFollowOnFn(total, below, **SMALL).rv()


def total(parts: list[int]) -> int:
    return 1 + sum(parts)


def tree(order: Order) -> None:
    order.check(start(order, Job.wrapJobFn(grow, order.size, **SMALL)), 2 ** (order.size + 1) - 1)


def make(job: Job, size: int) -> Any:
    with job.fileStore.writeGlobalFileStream() as (stream, file):
        block = bytes(bodies.BLOCK)
        for _ in range(size // bodies.BLOCK):
            stream.write(block)
    sizes = [job.addChildJobFn(read, file, cores=1, memory="100M", disk=size).rv() for _ in range(READERS)]
    return sizes


def read(job: Job, file: Any) -> int:
    return bodies.read_through(job.fileStore.readGlobalFile(file, symlink=True))


def file(order: Order) -> None:
    root = Job.wrapJobFn(make, order.bytes, cores=1, memory="100M", disk=order.bytes)
    order.check(start(order, root), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
