"""This engine: single machine, job store in a folder.

Variants of the fan: `power` is durable against power loss too, `shared` lets the jobs share
a process, `tell` has each job say that it runs, and `restart` goes on with a store that an
earlier, killed `tell` left. The variant `dask`, of all cases but `restart`, runs on a Dask cluster of this machine, which is
there before the time is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform
from toil_core import File, Job, job, run

T = TypeVar("T")

nothing = job(bodies.nothing, memory="64 MiB", disk="1 MiB")
shared = job(bodies.nothing, memory="64 MiB", disk="1 MiB", isolated=False)
hop = job(bodies.hop, memory="64 MiB", disk="1 MiB")
tell = job(bodies.tell, memory="64 MiB", disk="1 MiB")


@contextmanager
def cluster(order: Order) -> Iterator[dict[str, Any]]:
    """The options that choose where jobs run."""
    if order.variant != "dask":
        yield {}
        return
    from toil_dask.local import LocalCluster

    from toil_core.batch_system import Requirement

    there = LocalCluster(Requirement(cores=order.cores))
    try:
        there.await_worker()
        yield {"batch_system": "dask", "dask_scheduler": there.scheduler, **{f"dask_{name}": path for name, path in there.files.items()}}
    finally:
        there.close()


def lead(order: Order, root: Job[T], **options: Any) -> T:
    with cluster(order) as where, order.timed():
        options.update(where)
        return run(root, job_store=f"file:{order.scratch / 'store'}", max_cores=order.cores, disable_progress=True, **options)


def fan(order: Order) -> None:
    if order.variant in ("tell", "restart"):
        jobs = [tell(order.fifo, i) for i in range(order.size)]
    else:
        jobs = [(shared if order.variant == "shared" else nothing)(i) for i in range(order.size)]
    for child in jobs[1:]:
        jobs[0].add_child(child)
    lead(
        order, jobs[0], durability="power" if order.variant == "power" else "process", restart=order.variant == "restart"
    )


def chain(order: Order) -> None:
    root = last = hop(0, order.notes)
    for _ in range(order.size - 1):
        last = last.add_child(hop(last.rv(), order.notes))
    lead(order, root)


@job(memory="64 MiB", disk="1 MiB")
def grow(job: Job[Any], depth: int) -> Any:
    """A node of the tree, which adds its children while it runs."""
    if not depth:
        return 1
    below = [job.add_child(grow(depth - 1)).rv() for _ in range(2)]
    return job.add_follow_on(total(below))


@job(memory="64 MiB", disk="1 MiB")
def total(parts: list[int]) -> int:
    return 1 + sum(parts)


def tree(order: Order) -> None:
    order.check(lead(order, grow(order.size)), 2 ** (order.size + 1) - 1)


@job(memory="64 MiB", disk="1 GiB")
def make(job: Job[Any], size: int) -> list[int]:
    with job.files.create("big") as out:
        bodies.make(out.path, size)
    return [job.add_child(read(out.file)).rv() for _ in range(READERS)]


@job(memory="64 MiB", disk="1 MiB")
def read(job: Job[Any], file: File) -> int:
    return bodies.read_through(job.files.read(file))


def file(order: Order) -> None:
    order.check(lead(order, make(order.bytes)), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
