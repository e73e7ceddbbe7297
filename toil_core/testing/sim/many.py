"""Many runs, beside each other on several processors."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from toil_core.testing.sim import crashes
from toil_core.testing.sim.case import Case, jobs_of
from toil_core.testing.sim.chance import Fault, Stream
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.scenarios import named
from toil_core.testing.sim.shapes import SHAPES

T = TypeVar("T")

CHUNK = 50


@dataclass
class Sum:
    """What became of many runs.

    Attributes:
        runs: How many there were.
        faults: How often each kind of fault happened.
        leaders: How many leaders there were.
        seconds: Simulated time in all.
        broken: Those that went wrong: what tells the run, and what was wrong.
        traces: Tells all their traces from any others, whatever the order in which the runs end.
        of: The small workflow that these are all runs of; empty when they are not of one.
        cost: Processor seconds that they took, where that is of one workflow.
    """

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    leaders: int = 0
    seconds: float = 0.0
    broken: list[tuple[str, str]] = field(default_factory=list)
    traces: int = 0
    of: str = ""
    cost: float = 0.0

    def count(self, name: str, report: Report) -> None:
        """Count one more run."""
        self.runs += 1
        self.faults.update(fault.kind for fault in report.faults)
        self.leaders += report.leaders
        self.seconds += report.seconds
        self.traces ^= int(hashlib.sha256(f"{name} {report.digest}".encode()).hexdigest()[:16], 16)
        if report.broken:
            self.broken.append((name, report.broken))

    def add(self, other: Sum) -> None:
        """Count the runs of another."""
        self.runs += other.runs
        self.faults.update(other.faults)
        self.leaders += other.leaders
        self.seconds += other.seconds
        self.broken += other.broken
        self.traces ^= other.traces


def seeds(scenario: str, which: Iterable[int], processes: int = 1) -> Iterator[Sum]:
    """Run a scenario with each of the seeds.

    Args:
        scenario: Its name.
        which: The seeds.
        processes: How many processes to use.

    Returns:
        What became of some runs, again and again, in the order of their seeds.
    """
    yield from _spread(partial(_seeds, scenario), which, processes)


def deaths(number: int, processes: int = 1, sample: int | None = None, shapes: Iterable[str] = SHAPES) -> Iterator[Sum]:
    """Run small workflows with leaders that die that many times, wherever they can.

    Args:
        number: How many crashes.
        processes: How many processes to use.
        sample: How many ways to try of each workflow; all if not given.
        shapes: The names of the workflows.

    Returns:
        What became of each workflow.
    """
    yield from _spread(partial(_deaths, number, sample), shapes, processes, 1)


def _spread(run: Callable[[Sequence[T]], Sum], items: Iterable[T], processes: int, size: int = CHUNK) -> Iterator[Sum]:
    chunks = iter(items)
    parts = iter(lambda: list(itertools.islice(chunks, size)), [])
    if processes == 1:
        yield from map(run, parts)
        return
    with multiprocessing.get_context("spawn").Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap(run, parts)  # in order, so that who stops it knows what is done


def _seeds(scenario: str, which: Sequence[int]) -> Sum:
    found, chosen = Sum(), named(scenario)
    for seed in which:
        found.count(f"--scenario {scenario} --seed {seed}", chosen.world(seed).run())
    return found


def _deaths(number: int, sample: int | None, shapes: Sequence[str]) -> Sum:
    found, begun = Sum(of=", ".join(shapes)), time.process_time()
    for shape in shapes:
        jobs = jobs_of(Program(SHAPES[shape]()))
        for faults in crashes.placements(shape, number) if sample is None else sampled(shape, number, sample):
            found.count(f"{shape}: {Case(crashes.SEED, jobs, faults).command}", crashes.crashed(shape, faults))
    found.cost = time.process_time() - begun
    return found


def sampled(shape: str, number: int, sample: int) -> Iterator[tuple[Fault, ...]]:
    """Some ways to have that many crashes, the same ones each time."""
    stream = Stream(number, shape)
    for _ in range(sample):
        faults: tuple[Fault, ...] = ()
        for _ in range(number):
            possible = crashes.crashed(shape, faults).crashes
            start = possible.index(faults[-1]) + 1 if faults else 0
            if start == len(possible):
                break
            faults = (*faults, stream.one(possible[start:]))
        yield faults
