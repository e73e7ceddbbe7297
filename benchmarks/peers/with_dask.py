"""Dask distributed: a scheduler and one worker process per core on this machine, one thread each."""

# mypy: ignore-errors
# The peer is installed in an environment of its own, where no type checker looks.

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dask.distributed import Client, LocalCluster, worker_client

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform


@contextmanager
def client(order: Order) -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=order.cores,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(order.scratch),
        ) as cluster,
        Client(cluster) as opened,
    ):
        opened.wait_for_workers(order.cores)
        yield opened


def fan(order: Order) -> None:
    with client(order) as dask, order.timed():
        futures = dask.map(bodies.nothing, range(order.size), pure=False)
        order.check(dask.gather(futures), [None] * order.size)


def chain(order: Order) -> None:
    with client(order) as dask, order.timed():
        link: Any = 0
        for _ in range(order.size):
            link = dask.submit(bodies.hop, link, order.notes, pure=False)
        order.check(link.result(), order.size)


def grow(depth: int) -> int:
    """A node of the tree: it lends its place to its children and counts them."""
    if not depth:
        return 1
    with worker_client() as dask:
        below = [dask.submit(grow, depth - 1, pure=False) for _ in range(2)]
        return 1 + sum(dask.gather(below))


def tree(order: Order) -> None:
    with client(order) as dask, order.timed():
        order.check(dask.submit(grow, order.size, pure=False).result(), 2 ** (order.size + 1) - 1)


def produce(size: int) -> bytes:
    return os.urandom(bodies.BLOCK) * (size // bodies.BLOCK)


def file(order: Order) -> None:
    with client(order) as dask, order.timed():
        data = dask.submit(produce, order.bytes, pure=False)
        sizes = [dask.submit(len, data, pure=False) for _ in range(READERS)]
        order.check(dask.gather(sizes), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
