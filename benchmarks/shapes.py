"""Large workflows of one shape, from the user's program to the last value: does any cost grow faster than the number of jobs?

The public API, the real leader and the real workers of the single machine run, in the jobs' own processes or, as here, in shared
ones, so that what the engine itself does is what counts. Every value is checked.

    python -m benchmarks.shapes [--sizes 10000,100000] [--shapes fan-out,grown,fan-in,chain] [--scratch FOLDER] [--json]
    python -m benchmarks.shapes --document      # and write it into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import document, kept, machine, table
from benchmarks.catalog import ROOT
from benchmarks.measure import measure
from toil_core import Job, job, run

_KEPT = "shapes"
_HEAD = ("shape", "jobs", "CPU-s", "CPU-µs/job", "wall s", "peak MiB", "load")
LIMIT, LIMIT_EACH = 3600.0, 0.2
"""Seconds that one run may take, and so many more for each job: on a machine that others keep busy a link of a chain takes 50 ms."""


@dataclass(frozen=True)
class Figures:
    """One case's figures.

    Args:
        shape: The workflow's shape.
        jobs: How many jobs it has, give or take two.
        cpu: Processor seconds of all processes, from the start of Python on.
        microseconds: The same for each job.
        wall: Seconds that passed.
        peak: Memory of all processes together at the peak, in MiB.
        load: How many processes wanted a core before it began.
    """

    shape: str
    jobs: int
    cpu: float
    microseconds: float
    wall: float
    peak: float
    load: str

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            self.shape, f"{self.jobs:,}", f"{self.cpu:.1f}", f"{self.microseconds:,.0f}", f"{self.wall:.1f}", f"{self.peak:.0f}", self.load,
        )  # fmt: skip


@job(memory="64 MiB", disk="1 MiB", isolated=False)
def same(value: int) -> int:
    """Return what it is given."""
    return value


@job(memory="64 MiB", disk="1 MiB", isolated=False)
def link(before: int, place: int) -> int:
    """Go on after the link before, whose value says its place."""
    if before != place - 1:
        raise ValueError(f"link {place} was given {before}")
    return place


@job(memory="64 MiB", disk="1 MiB", isolated=False)
def gather(values: list[int]) -> int:
    """Take in all values of a fan-in."""
    if values != list(range(len(values))):
        raise ValueError("these are not the values that were promised")
    return len(values)


@job(memory="64 MiB", disk="1 MiB", isolated=False)
def spread(job: Job[Any], size: int) -> int:
    """Add all children while it runs, and give what is gathered from them."""
    parts = [job.add_child(same(number)).rv() for number in range(size)]
    return job.add_follow_on(gather(parts)).rv()


def fan_out(size: int) -> Job[int]:
    """A job with so many children."""
    root = same(size)
    for number in range(size):
        root.add_child(same(number))
    return root


def fan_in(size: int) -> Job[int]:
    """The same, and a job that is given all their values."""
    root = same(size)
    root.add_follow_on(gather([root.add_child(same(number)).rv() for number in range(size)]))
    return root


def chain(size: int) -> Job[int]:
    """Links, each given the value of the one before."""
    root = last = same(0)
    for place in range(1, size):
        last = last.add_child(link(last.rv(), place))
    top = same(size)
    top.add_child(root)
    return top


SHAPES: Mapping[str, Callable[[int], Job[int]]] = {"fan-out": fan_out, "fan-in": fan_in, "grown": spread, "chain": chain}
"""By name: what makes a workflow of so many jobs, whose value is that number."""
PLAN = (*((shape, size) for size in (10_000, 100_000) for shape in ("fan-out", "grown", "fan-in")), ("chain", 10_000))
"""What is measured beside a million simulated jobs: a chain of 100,000 takes longer than all of these."""


def perform(shape: str, size: int, store: str) -> None:
    """Run one workflow in this process and its workers.

    Raises:
        ValueError: Its value is wrong.
    """
    found = run(SHAPES[shape](size), job_store=store, disable_progress=True)
    if found != size:
        raise ValueError(f"{shape} of {size} gave {found}")


def apart(shape: str, size: int, scratch: Path | None) -> Figures:
    """Run one case in processes of its own, and measure them all.

    Raises:
        RuntimeError: It did not succeed; says what was printed.
    """
    load = machine.load()
    with TemporaryDirectory(prefix="toil-shapes-", dir=scratch) as folder:
        command = [sys.executable, "-m", "benchmarks.shapes", "--case", json.dumps([shape, size, f"file:{folder}/store"])]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = measure(command, cwd=Path(folder), environment=environment, limit=LIMIT + LIMIT_EACH * size)
    if done.status:
        raise RuntimeError(f"{shape} of {size} ended with {done.status}: {done.err[-2000:]}")
    return Figures(shape, size, done.cpu, 1e6 * done.cpu / size, done.wall, done.memory / 2**20, load)


def measure_all(cases: Iterable[tuple[str, int]], *, as_json: bool, documented: bool, scratch: Path | None = None) -> None:
    """Measure the cases, and print what was found.

    Args:
        cases: Shape and size of each.
        as_json: Whether to print JSON lines instead of a table.
        documented: Whether to write all figures that were ever measured here into the document.
        scratch: Where job stores are made; the folder for temporary files when not given.
    """
    if not as_json:
        print(*(f"{name:>10}" for name in _HEAD))
    for shape, size in cases:
        found = apart(shape, size, scratch)
        kept.keep(_KEPT, asdict(found), ("shape", "jobs"))
        print(json.dumps(asdict(found)) if as_json else " ".join(f"{cell:>10}" for cell in found.cells()), flush=True)
    if documented:
        put()


def put() -> None:
    """Write all figures that were ever measured here into the document; where none were, what it shows stays."""
    rows = sorted((Figures(**row) for row in kept.rows(_KEPT)), key=lambda row: (list(SHAPES).index(row.shape), row.jobs))
    if rows:
        document.put(table.markdown(_HEAD, [row.cells() for row in rows]), name="shapes")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000", help="How many jobs; several with commas between.")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="Which shapes.")
    parser.add_argument("--scratch", type=Path, help="Where job stores are made; the folder for temporary files when not given.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines instead of a table.")
    parser.add_argument("--document", action="store_true", help="Write all figures that were ever measured here into docs/benchmarks.md.")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        perform(*json.loads(options.case))
        return
    cases = [(shape, int(size)) for shape in options.shapes.split(",") for size in options.sizes.split(",")]
    measure_all(cases, as_json=options.json, documented=options.document, scratch=options.scratch)


if __name__ == "__main__":
    main()
