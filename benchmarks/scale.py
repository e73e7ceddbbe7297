"""A million jobs on simulated machines: what the leader costs, holds, and needs to start again.

The real graph, issuer, loop, checkpoints and history run with a batch system of 1,000 nodes with 32 cores each, on which
time is simulated: nothing waits, all else is real. The job store keeps checkpoints and commits as it would on disk, and a
leader that dies half way is replaced by another, which reads them.

    python -m benchmarks.scale [--sizes 10000,100000,1000000] [--shapes fan-out,fan-in,tree,chain] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.leader import INITIAL, InlineLoop, NullMachine, Program
from toil_core.batch_system import Request, State, Update
from toil_core.drivers.file import FileJobStore
from toil_core.errors import LeaderReplaced
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints as folding
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.collector import rare
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Finish
from toil_core.leader.retries import Policy
from toil_core.leader.tell import Teller
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.work import decode_work

NODES, CORES = 1000, 32
CARRIED = 65536
"""The largest commit that an update carries whole, as for the real workers."""
MICROSECONDS, MEBIBYTES, SECONDS = 60.0, 1024.0, 5.0
"""What is aimed at: of processor time for a job, of memory in all, and to start again."""


@dataclass(frozen=True)
class Figures:
    """One case's figures.

    Args:
        shape: The workflow's shape.
        jobs: How many jobs there are.
        microseconds: Processor time of the leader for each job.
        peak: Memory of the whole process at its peak, in MiB.
        requests: How many requests it took.
        checkpoints: How many checkpoints were written.
        restart: Processor seconds from the death of the leader to where the next one issues jobs.
        known: How many jobs the new leader knows then.
        replayed: How many results it took in from commits.
    """

    shape: str
    jobs: int
    microseconds: float
    peak: float
    requests: int
    checkpoints: int
    restart: float
    known: int
    replayed: int


class Machines(NullMachine):
    """All the nodes; an update carries small commits whole, and of large ones the header."""

    def __init__(self, program: Program, store: JobStore, dies_at: int) -> None:
        super().__init__(program.behave)
        self._store = store
        self._dies_at = dies_at

    def submit(self, requests: Sequence[Request]) -> None:
        start = time.thread_time()
        for request in requests:
            data = self.commit(decode_work(request.work))
            self._store.create(keys.commit(request.id, 0), data)
            carried = data if len(data) <= CARRIED else data[: commits.header_size(data, "")]
            self._news.append(Update(request.id, State.ENDED, commit=carried, commits=1))
        self.seconds += time.thread_time() - start
        self.requests += len(requests)

    def updates(self, seconds: float | None = None) -> list[Update]:
        if self.jobs >= self._dies_at:
            raise KeyboardInterrupt
        return super().updates(seconds)


class CountingStore(FileJobStore):
    """A store that counts checkpoints."""

    checkpoints = 0

    def create(self, key: str, data: bytes) -> None:
        self.checkpoints += key.startswith(keys.CHECKPOINTS)
        super().create(key, data)


def measure(shape: str, size: int, place: Path) -> Figures:
    """Run one case in this process: to where half of it is done, then, with another leader, to its end."""
    program = Program(shape, size, isolated=True)
    with CountingStore(str(place), Config()) as store:
        store.prepare()
        store.create(INITIAL, program.initial())
        with rare():
            return _measure(program, store)


def _measure(program: Program, store: CountingStore) -> Figures:
    half = program.size // 2
    seconds, first, finish = _lead(program, store, 1, half)
    assert finish is None
    gc.collect()  # the dead leader's graph, which is no part of what the next one costs
    begun = time.process_time()
    folding.bury(store, 2)
    graph, checkpoints = Graph(2, Policy(), Sizing(slots=NODES * CORES)), Checkpoints(store, 2)
    former = folding.existing(store)
    found = folding.load(store, graph)
    graph.take_over(2)
    checkpoints.inherit(former, found)
    checkpoints.write(graph)
    store.delete(folding.orphans(store, found, 2))
    restart = time.process_time() - begun
    known, replayed = len(graph.jobs), sum(map(len, found.replayed.values()))
    more, second, finish = _run(program, store, graph, checkpoints, sys.maxsize)
    assert finish is not None and finish.outcome == "succeeded", finish
    jobs = graph.ran
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ran = first.jobs + second.jobs
    return Figures(
        program.shape, jobs, 1e6 * (seconds + more) / ran, peak, first.requests + second.requests, store.checkpoints, restart, known, replayed
    )


def _lead(program: Program, store: JobStore, epoch: int, dies_at: int) -> tuple[float, Machines, Finish | None]:
    graph = Graph(epoch, Policy(), Sizing(slots=NODES * CORES))
    folding.load_initial(store, graph)
    return _run(program, store, graph, Checkpoints(store, epoch), dies_at)


def _run(program: Program, store: JobStore, graph: Graph, checkpoints: Checkpoints, dies_at: int) -> tuple[float, Machines, Finish | None]:
    machines = Machines(program, store, dies_at)
    loop = InlineLoop(graph, store, "memory:x", keys.setup(1), machines, checkpoints, Teller([]))
    before = time.thread_time()
    finish = None
    try:
        loop.run_inline(machines)
        finish = loop.finish
    except (KeyboardInterrupt, LeaderReplaced):
        pass
    return time.thread_time() - before - machines.seconds, machines, finish


def apart(shape: str, size: int) -> Figures:
    """Run one case in a process of its own."""
    with TemporaryDirectory(prefix="toil-scale-") as place:
        command = [sys.executable, "-m", "benchmarks.scale", "--case", json.dumps([shape, size, f"{place}/store"])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Figures(**json.loads(done.stdout))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000,1000000", help="How many jobs; several with commas between.")
    parser.add_argument("--shapes", default="fan-out,fan-in,tree,chain", help="Which shapes.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines instead of a table.")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        shape, size, place = json.loads(options.case)
        print(json.dumps(asdict(measure(shape, size, Path(place)))))
        return
    if not options.json:
        names = ("jobs", "CPU-us/job", "peak MiB", "requests", "checkpoints", "restart s", "known", "replayed")
        print(f"{'shape':8}", *(f"{name:>11}" for name in names))
    for shape in options.shapes.split(","):
        for size in map(int, options.sizes.split(",")):
            found = apart(shape, size)
            if options.json:
                print(json.dumps(asdict(found)), flush=True)
                continue
            over = [name for name, is_over in (
                ("time", found.microseconds > MICROSECONDS), ("memory", found.peak > MEBIBYTES), ("restart", found.restart > SECONDS)
            ) if is_over]  # fmt: skip
            print(
                f"{found.shape:8} {found.jobs:11,} {found.microseconds:11.1f} {found.peak:11.0f} {found.requests:11,} {found.checkpoints:11,} "
                f"{found.restart:11.2f} {found.known:11,} {found.replayed:11,}{'  over: ' + ', '.join(over) if over else ''}",
                flush=True,
            )


if __name__ == "__main__":
    main()
