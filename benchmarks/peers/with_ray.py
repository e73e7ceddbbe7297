"""Ray: a local instance with one worker process per core."""

# mypy: ignore-errors
# The peer is installed in an environment of its own, where no type checker looks.

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform

nothing = ray.remote(bodies.nothing)
hop = ray.remote(bodies.hop)


@contextmanager
def started(order: Order) -> Iterator[None]:
    ray.init(num_cpus=order.cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR", object_store_memory=1 << 30)
    try:
        ray.get([nothing.remote(i) for i in range(order.cores)])  # its workers come up with the first jobs
        yield
    finally:
        ray.shutdown()


def fan(order: Order) -> None:
    with started(order), order.timed():
        order.check(ray.get([nothing.remote(i) for i in range(order.size)]), [None] * order.size)


def chain(order: Order) -> None:
    with started(order), order.timed():
        link: Any = 0
        for _ in range(order.size):
            link = hop.remote(link, order.notes)
        order.check(ray.get(link), order.size)


@ray.remote
def grow(depth: int) -> list[Any]:
    """A node of the tree: its children, not yet done, so that no worker waits for another."""
    return [grow.remote(depth - 1), grow.remote(depth - 1)] if depth else []


def tree(order: Order) -> None:
    with started(order), order.timed():
        level, seen = [grow.remote(order.size)], 0
        while level:
            seen += len(level)
            level = [child for children in ray.get(level) for child in children]
        order.check(seen, 2 ** (order.size + 1) - 1)


@ray.remote
def produce(size: int) -> bytes:
    return os.urandom(bodies.BLOCK) * (size // bodies.BLOCK)


@ray.remote
def length(data: bytes) -> int:
    return len(data)


def file(order: Order) -> None:
    with started(order), order.timed():
        data = produce.remote(order.bytes)
        order.check(ray.get([length.remote(data) for _ in range(READERS)]), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
