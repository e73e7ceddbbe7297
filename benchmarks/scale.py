"""A million jobs on simulated machines: what the leader costs, holds, and needs to start again.

The real graph, issuer, loop, checkpoints and history run with a batch system of 1,000 nodes with 32 cores each, on which
time is simulated: nothing waits, all else is real. The machines are in another process, so that the memory is the leader's alone.
The job store keeps checkpoints and commits as it would on disk, and a leader that dies half way is replaced by another, in a new
process, which reads them.

    python -m benchmarks.scale                 # the cases of the document, and large workflows through the public API
    python -m benchmarks.scale --sizes 1000000 --shapes chain [--single] [--json]
    python -m benchmarks.scale --document      # and write it all into docs/benchmarks.md
    python -m benchmarks.scale --kept          # write what was measured before, one by one perhaps, and measure nothing
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import document, kept, machine, shapes, table
from benchmarks.leader import INITIAL, InlineLoop, Program
from benchmarks.machines import Machines, Order
from toil_core.drivers.file import FileJobStore
from toil_core.leader import checkpoints as folding
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.collector import rare
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Finish
from toil_core.leader.retries import Policy
from toil_core.leader.tell import Teller
from toil_core.options import Config
from toil_core.wire import keys

NODES, CORES = 1000, 32
SHAPES = ("fan-out", "fan-in", "tree", "chain")
PLAN = (
    *((shape, size, False) for size in (10_000, 100_000) for shape in SHAPES),
    *((shape, 100_000, True) for shape in ("fan-out", "fan-in", "tree")),
    *((shape, 1_000_000, False) for shape in ("fan-out", "fan-in")),
)
"""What is measured when nothing else is asked for: shape, size, and whether each job travels alone. A tree and a chain of a million are left out to keep the whole short."""
MICROSECONDS, MEBIBYTES, SECONDS = 60.0, 1024.0, 5.0
"""What is aimed at: of processor time for a job, of memory in all, and to start again."""
_KEPT = "scale"
_HEAD = (
    "shape",
    "jobs",
    "requests",
    "CPU-µs/job",
    "turns/job",
    "peak MiB",
    "restart CPU-s",
    "jobs known then",
    "results read then",
    "checkpoints",
    "load",
)


@dataclass(frozen=True)
class Figures:
    """One case's figures.

    Args:
        shape: The workflow's shape.
        single: Whether each job travelled alone.
        jobs: How many jobs there are.
        microseconds: Processor time of the leaders for each job that they ran.
        peak: Memory of the larger leader's process at its peak, in MiB.
        requests: How many requests it took.
        checkpoints: How many checkpoints were written.
        restart: Processor seconds from where the second leader looks for the first one's checkpoints to where it issues jobs.
        known: How many jobs the second leader knows then.
        replayed: How many results it took in from commits.
        load: How many processes wanted a core before it began.
        pace: Processor microseconds of one turn of a fixed loop, before and after; see `machine.pace`.
    """

    shape: str
    single: bool
    jobs: int
    microseconds: float
    peak: float
    requests: int
    checkpoints: int
    restart: float
    known: int
    replayed: int
    load: str
    pace: float

    def over(self) -> list[str]:
        """What is more than is aimed at."""
        verdicts = {"time": self.microseconds > MICROSECONDS, "memory": self.peak > MEBIBYTES, "restart": self.restart > SECONDS}
        return [name for name, is_over in verdicts.items() if is_over]

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            self.shape + (", one job a request" if self.single else ""), f"{self.jobs:,}", f"{self.requests:,}", f"{self.microseconds:.1f}",
            f"{self.microseconds / self.pace:,.0f}", f"{self.peak:,.0f}", f"{self.restart:.2f}", f"{self.known:,}", f"{self.replayed:,}", f"{self.checkpoints:,}", self.load,
        )  # fmt: skip


@dataclass(frozen=True)
class Led:
    """What one leader did.

    Args:
        ran: How many jobs ran under it.
        jobs: How many jobs had run in all.
        seconds: Its processor time, without its start.
        peak: Memory of its process at the peak, in MiB.
        requests: How many requests it sent.
        checkpoints: How many checkpoints it wrote.
        restart: Processor seconds of its start.
        known: How many jobs it knew then.
        replayed: How many results it took in from commits.
    """

    ran: int
    jobs: int
    seconds: float
    peak: float
    requests: int
    checkpoints: int
    restart: float = 0.0
    known: int = 0
    replayed: int = 0


class CountingStore(FileJobStore):
    """A store that counts checkpoints."""

    checkpoints = 0

    def create(self, key: str, data: bytes) -> None:
        self.checkpoints += key.startswith(keys.CHECKPOINTS)
        super().create(key, data)


def first(order: Order, *, single: bool) -> Led:
    """Lead from the beginning to where half of the jobs have run, and die."""
    with CountingStore(order.place, Config()) as store, rare():
        store.prepare()
        store.create(INITIAL, Program(order.shape, order.size, isolated=True).initial())
        graph = Graph(1, Policy(), _sizing(single=single))
        folding.load_initial(store, graph)
        led, finish = _lead(order, store, graph, Checkpoints(store, 1), order.size // 2)
        assert finish is None
        return led


def second(order: Order, *, single: bool) -> Led:
    """Start again from what the first leader left, and lead to the end."""
    with CountingStore(order.place, Config()) as store, rare():
        begun = time.process_time()
        folding.ended(store)
        folding.bury(store, 2)
        graph, checkpoints = Graph(2, Policy(), _sizing(single=single)), Checkpoints(store, 2)
        found = folding.start_again(store, graph, checkpoints, 2)
        restart = time.process_time() - begun
        known, replayed = len(graph.jobs), sum(map(len, found.replayed.values()))
        del found
        led, finish = _lead(order, store, graph, checkpoints, sys.maxsize)
        assert finish is not None and finish.outcome == "succeeded", finish
        return replace(led, restart=restart, known=known, replayed=replayed)


def _sizing(*, single: bool) -> Sizing:
    return Sizing(slots=NODES * CORES, most=1) if single else Sizing(slots=NODES * CORES)


def _lead(order: Order, store: CountingStore, graph: Graph, checkpoints: Checkpoints, dies_at: int) -> tuple[Led, Finish | None]:
    machines = Machines(order, dies_at)
    loop = InlineLoop(graph, store, "memory:x", keys.setup(1), machines, checkpoints, Teller([]))
    before, finish = time.thread_time(), None
    try:
        loop.run_inline(machines)
        finish = loop.finish
    except KeyboardInterrupt:
        pass
    seconds = time.thread_time() - before - machines.seconds
    machines.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Led(machines.jobs, graph.ran, seconds, peak, machines.requests, store.checkpoints), finish


def apart(shape: str, size: int, *, single: bool) -> Figures:
    """Run one case, each leader in a process of its own."""
    load, pace = machine.load(), machine.pace()
    with TemporaryDirectory(prefix="toil-scale-") as place:
        one, two = (_process(phase, shape, size, f"{place}/store", single=single) for phase in ("first", "second"))
    ran = one.ran + two.ran
    return Figures(
        shape, single, two.jobs, 1e6 * (one.seconds + two.seconds) / ran, max(one.peak, two.peak), one.requests + two.requests,
        one.checkpoints + two.checkpoints, two.restart, two.known, two.replayed, load, (pace + machine.pace()) / 2,
    )  # fmt: skip


def _process(phase: str, shape: str, size: int, place: str, *, single: bool) -> Led:
    command = [sys.executable, "-m", "benchmarks.scale", "--case", json.dumps([phase, shape, size, place, single])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Led(**json.loads(done.stdout))


def _case(phase: str, shape: str, size: int, place: str, single: bool) -> Led:
    return (first if phase == "first" else second)(Order(shape, size, place), single=single)


def _document() -> None:
    rows = sorted((Figures(**row) for row in kept.rows(_KEPT) if "pace" in row), key=lambda row: (row.single, list(SHAPES).index(row.shape), row.jobs))
    if not rows:
        return
    described = machine.describe(os.cpu_count() or 1, Path(tempfile.gettempdir()))
    told = f"{described['Processor']}; {described['Memory']}; job stores on {described['Job stores on']}."
    document.put(f"{table.markdown(_HEAD, [row.cells() for row in rows])}\n\n{told}", name="scale")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", help="How many jobs; several with commas between.")
    parser.add_argument("--shapes", help="Which shapes.")
    parser.add_argument("--single", action="store_true", help="Send each job alone, also those that are known to be short.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines instead of a table.")
    parser.add_argument("--document", action="store_true", help="Write all figures that were ever measured here into docs/benchmarks.md.")
    parser.add_argument("--kept", action="store_true", help="Write all figures that were ever measured here, and measure nothing.")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(asdict(_case(*json.loads(options.case)))))
        return
    if options.kept:
        _document()
        shapes.put()
        return
    if not options.json:
        print(*(f"{name:>17}" for name in _HEAD))
    asked = options.sizes or options.shapes or options.single
    for shape, size, single in _cases(options) if asked else PLAN:
        found = apart(shape, size, single=single)
        kept.keep(_KEPT, asdict(found), ("shape", "single", "jobs"))
        if options.json:
            print(json.dumps(asdict(found)), flush=True)
            continue
        over = found.over()
        print(*(f"{cell:>17}" for cell in found.cells()), *(["over:", ", ".join(over)] if over else []), flush=True)
    if options.document:
        _document()
    if not asked:
        shapes.measure_all(shapes.PLAN, as_json=options.json, documented=options.document)


def _cases(options: argparse.Namespace) -> Iterator[tuple[str, int, bool]]:
    for shape in options.shapes.split(",") if options.shapes else SHAPES:
        for size in (options.sizes or "10000,100000").split(","):
            yield shape, int(size), options.single


if __name__ == "__main__":
    main()
