"""Attempts as columns of numbers: what is told of each one by one, in a seventh of the memory."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from toil_core.leader.history import Attempt

Entry = TypeVar("Entry", bound=Hashable)
Number = TypeVar("Number", int, float)

DONE = "done"
"""The outcome of an attempt that succeeded."""


class Table(Generic[Entry]):
    """Things that many rows share, numbered in the order in which they came; none counts twice."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = list(entries)
        self._numbers = {entry: number for number, entry in enumerate(self.entries)}

    def number(self, entry: Entry) -> int:
        """The number of the entry; a new one when it is new."""
        number = self._numbers.get(entry)
        if number is None:
            number = self._numbers[entry] = len(self.entries)
            self.entries.append(entry)
        return number


class Rows:
    """Attempts, one a row; columns are as in `Attempt`.

    Attributes:
        names: What `name` counts.
        nodes: What `node` counts.
        outcomes: What `outcome` counts.
        requests: What `request` counts: requested cores, memory and disk.
        log: Keys of the logs of those that did not succeed.
    """

    def __init__(self) -> None:
        self.names: Table[str] = Table()
        self.nodes: Table[str] = Table()
        self.outcomes = Table([DONE])
        self.requests: Table[tuple[float, int, int]] = Table()
        self.job: list[str] = []
        self.log: dict[int, str] = {}
        self.started, self.wall, self.cpu, self.memory = array("d"), array("d"), array("d"), array("q")
        self.name, self.node, self.outcome, self.request, self.attempt = array("I"), array("I"), array("I"), array("I"), array("I")

    def __len__(self) -> int:
        return len(self.job)

    def add(self, attempt: Attempt) -> None:
        """Take in one more."""
        if attempt.log and attempt.outcome != DONE:
            self.log[len(self)] = attempt.log
        self.job.append(attempt.job)
        self.started.append(attempt.started)
        self.wall.append(attempt.wall)
        self.cpu.append(attempt.cpu)
        self.memory.append(attempt.memory)
        self.name.append(self.names.number(attempt.name))
        self.node.append(self.nodes.number(attempt.node))
        self.outcome.append(self.outcomes.number(attempt.outcome))
        self.request.append(self.requests.number((attempt.cores, attempt.requested_memory, attempt.requested_disk)))
        self.attempt.append(attempt.attempt)

    def by_start(self) -> array[int]:
        """All rows by their start; first those whose start is not known, for which it is 0."""
        return ordered(range(len(self)), self.started)

    def spans(self, rows: Iterable[int]) -> Iterator[tuple[int, float, float]]:
        """Node, start and end of these rows."""
        return ((self.node[row], self.started[row], self.started[row] + self.wall[row]) for row in rows)


def ordered(rows: Iterable[int], by: Sequence[float]) -> array[int]:
    """The rows by a column, those with equal numbers in the order given."""
    return array("I", sorted(rows, key=by.__getitem__))


def picked(column: Sequence[Number], rows: Iterable[int]) -> Iterator[Number]:
    """The column's numbers in these rows."""
    return map(column.__getitem__, rows)
