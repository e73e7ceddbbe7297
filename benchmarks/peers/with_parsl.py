"""Parsl: the high-throughput executor on this machine, one worker process per core."""

# mypy: ignore-errors
# The peer is installed in an environment of its own, where no type checker looks.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import parsl
from parsl.app.app import join_app, python_app
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform

nothing = python_app(bodies.nothing)
hop = python_app(bodies.hop)
make = python_app(bodies.make)
read_through = python_app(bodies.read_through)


@contextmanager
def loaded(order: Order) -> Iterator[None]:
    executor = HighThroughputExecutor(
        label="here",
        address="127.0.0.1",
        max_workers_per_node=order.cores,
        cores_per_worker=1,
        encrypted=False,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    config = Config(executors=[executor], run_dir=str(order.scratch), strategy="none", usage_tracking=0, initialize_logging=False)
    with parsl.load(config):
        nothing(0).result()  # its workers come up with the first job
        yield


def fan(order: Order) -> None:
    with loaded(order), order.timed():
        order.check([future.result() for future in [nothing(i) for i in range(order.size)]], [None] * order.size)


def chain(order: Order) -> None:
    with loaded(order), order.timed():
        link: Any = 0
        for _ in range(order.size):
            link = hop(link, order.notes)
        order.check(link.result(), order.size)


@python_app
def leaf() -> int:
    return 1


@python_app
def joined(left: int, right: int) -> int:
    return left + right + 1


@join_app
def grow(depth: int) -> Any:
    """A node of the tree; Parsl decides on new tasks in the submitting process."""
    return joined(grow(depth - 1), grow(depth - 1)) if depth else leaf()


def tree(order: Order) -> None:
    with loaded(order), order.timed():
        order.check(grow(order.size).result(), 2 ** (order.size + 1) - 1)


def file(order: Order) -> None:
    path = str(order.scratch / "big")
    with loaded(order), order.timed():
        make(path, order.bytes).result()
        sizes = [read_through(path) for _ in range(READERS)]
        order.check([size.result() for size in sizes], [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
