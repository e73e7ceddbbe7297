"""luigi: the local scheduler with one worker process per core; a task is done when its target file exists."""

# mypy: ignore-errors
# The peer is installed in an environment of its own, where no type checker looks.

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import luigi

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform


class Task(luigi.Task):
    """A task whose target is a file named after it."""

    folder = luigi.Parameter()
    number = luigi.IntParameter()

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(os.path.join(self.folder, f"{type(self).__name__}-{self.number}"))

    def done(self, text: str = "") -> None:
        with self.output().open("w") as file:
            file.write(text)


class Nothing(Task):
    def run(self) -> None:
        bodies.nothing(self.number)
        self.done()


class Hop(Task):
    notes = luigi.Parameter(significant=False)

    def requires(self) -> list[luigi.Task]:
        return [Hop(self.folder, self.number - 1, self.notes)] if self.number > 1 else []

    def run(self) -> None:
        before = int(Path(self.input()[0].path).read_text()) if self.number > 1 else 0
        self.done(str(bodies.hop(before, self.notes)))


class Grow(Task):
    """A node of the tree, numbered as in a heap; its children become known while it runs."""

    depth = luigi.IntParameter(significant=False)

    def run(self) -> Iterator[list[luigi.Task]]:
        size = 1
        if self.depth:
            below = yield [Grow(self.folder, 2 * self.number + side, self.depth - 1) for side in range(2)]
            size += sum(int(Path(target.path).read_text()) for target in below)
        self.done(str(size))


class Make(Task):
    size = luigi.IntParameter(significant=False)

    def run(self) -> None:
        with self.output().temporary_path() as path:
            bodies.make(path, self.size)


class Read(Task):
    size = luigi.IntParameter(significant=False)

    def requires(self) -> luigi.Task:
        return Make(self.folder, 0, self.size)

    def run(self) -> None:
        self.done(str(bodies.read_through(self.input().path)))


def build(order: Order, tasks: list[Task]) -> list[str]:
    with order.timed():
        order.check(luigi.build(tasks, workers=order.cores, local_scheduler=True, log_level="ERROR"), True)
        return [Path(task.output().path).read_text() for task in tasks]


def fan(order: Order) -> None:
    folder = str(order.scratch)
    order.check(build(order, [Nothing(folder, i) for i in range(order.size)]), [""] * order.size)


def chain(order: Order) -> None:
    order.check(build(order, [Hop(str(order.scratch), order.size, order.notes)]), [str(order.size)])


def tree(order: Order) -> None:
    order.check(build(order, [Grow(str(order.scratch), 1, order.size)]), [str(2 ** (order.size + 1) - 1)])


def file(order: Order) -> None:
    folder = str(order.scratch)
    order.check(build(order, [Read(folder, i, order.bytes) for i in range(READERS)]), [str(order.bytes)] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "chain": chain, "tree": tree, "file": file})
