"""What a person looks at: how long `toil status` and its like take, and how large a report is, by number of jobs.

A real leader's graph, loop, checkpoints and page work on a real job store in a folder; the batch system
answers every request at once, with usage as of an analysis of genomes, and stores its commits as workers do. Half-way the
run is held, and what people ask while it goes on is asked; at its end what they ask then.

    python -m benchmarks.watching [--sizes 10,1000,10000,100000,1000000] [--rounds 3] [--document]

Figures of sizes that are not measured now are those of the last time; `--sizes ""` measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import document, machine, table
from benchmarks.catalog import ROOT
from benchmarks.leader import BODY, VALUE, NullMachine
from benchmarks.measure import measure
from toil_core.batch_system import Request, Requirement, State, Update, Usage
from toil_core.drivers.file import FileJobStore
from toil_core.job_store import JobStore
from toil_core.leader.checkpoints import Checkpoints, load_initial
from toil_core.leader.epoch import this_leader
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.loop import Loop
from toil_core.leader.retries import Policy
from toil_core.leader.run import begin
from toil_core.leader.tell import Teller
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config
from toil_core.wire import commits, keys, run, work
from toil_core.wire.jobs import Kind, NewJob, Result
from toil_core.wire.work import Setup, Task, Work, decode_work

SAVED = ROOT / "benchmarks" / ".results" / "watching.json"
SIZES = "10,1000,10000,100000,1000000"
SLOTS, NODES = 256, 32
LIMIT = 900.0
_MIB, _GIB = 1 << 20, 1 << 30
SORTS = (
    ("split", 4.0, 1.0, 0.9, 512 * _MIB, 120 * _MIB),
    ("align", 20.0, 2.0, 1.7, 2 * _GIB, 250 * _MIB),
    ("sort_reads", 6.0, 1.0, 0.5, 2 * _GIB, 1300 * _MIB),
    ("mark_duplicates", 9.0, 1.0, 0.7, 4 * _GIB, 900 * _MIB),
    ("call_variants", 14.0, 1.0, 0.95, _GIB, 700 * _MIB),
    ("check", 0.03, 0.1, 0.09, 64 * _MIB, 12 * _MIB),
)
"""Name, seconds, cores, busy cores, requested memory and peak of each kind, about."""


class Genomes(NullMachine):
    """A batch system of many slots, in which jobs take time on paper only.

    Args:
        store: Where commits are created.
        size: How many jobs below the first.
        held: Told whether what is submitted only runs from now on.
    """

    def __init__(self, store: JobStore, size: int, held: Callable[[], bool]) -> None:
        super().__init__(self._behave_)
        self._store = store
        self._size = size
        self._is_held = held
        self._dice = random.Random(1)
        self._free = [time.time() - 3600.0] * SLOTS
        self._waiting: list[Request] = []
        self.kinds = tuple(Kind(name, Requirement(cores, memory, _GIB), isolated=False) for name, _, cores, _, memory, _ in SORTS)

    def initial(self) -> bytes:
        top = Kind("genomes", Requirement(1.0, 512 * _MIB, _GIB))
        job = NewJob("0.0", 0, (0, len(BODY)), zlib.crc32(BODY))
        return commits.encode("0", 0, [(msgspec.msgpack.encode(Result("0", kinds=(top,), jobs=(job,), children=("0.0",))), BODY, Usage())])

    def submit(self, requests: Sequence[Request]) -> None:
        for request in requests:
            node = f"node-{self.requests % NODES + 1}"
            self.requests += 1
            self._news.append(Update(request.id, State.RUNNING, node=node))
            if self._is_held():
                self._waiting.append(request)
            else:
                self._answer(request)

    def go_on(self) -> None:
        """Answer what was held."""
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        data = self.commit(decode_work(request.work))
        self._store.create(keys.commit(request.id, 0), data)
        self._news.append(Update(request.id, State.ENDED, commit=data, commits=1))

    def commit(self, work: Work) -> bytes:
        self.jobs += len(work.tasks)
        slot = self.requests % SLOTS
        results = []
        for task in work.tasks:
            result, payload = self._behave_(work.request, task)
            usage = self._usage(work.kinds[0].name, self._free[slot])
            self._free[slot] += usage.wall + 0.01
            results.append((msgspec.msgpack.encode(result), payload, usage))
        return commits.encode(work.request, 0, results)

    def _behave_(self, request: str, task: Task) -> tuple[Result, bytes]:
        if task.job != "0.0":
            return Result(task.job, (0, len(VALUE)), zlib.crc32(VALUE)), VALUE
        crc, size = zlib.crc32(BODY), len(BODY)
        jobs = tuple(NewJob(f"{request}.0.{n}", n % len(SORTS), (0, size), crc) for n in range(self._size))
        return Result("0.0", (size, size), 0, (), self.kinds, jobs, tuple(job.id for job in jobs)), BODY

    def _usage(self, name: str, started: float) -> Usage:
        wall, busy, peak = next(((wall, busy, peak) for known, wall, _, busy, _, peak in SORTS if known == name), (2.0, 0.5, 80 * _MIB))
        wall *= self._dice.lognormvariate(0, 0.35)
        memory = int(peak * self._dice.lognormvariate(0, 0.1))
        return Usage(wall=wall, cpu=wall * busy, memory=memory, disk=memory // 3, read=memory // 2, written=memory // 4, started=started)


class HalfWay(Loop):
    """The loop without its second thread; it stops where it is told to."""

    def __init__(self, batch: Genomes, *rest: Any) -> None:
        self.machine = batch
        super().__init__(*rest)

    def begin(self) -> None:
        self._carry_out(self._graph.resume())
        self._flush()

    def turn(self, until: int) -> None:
        """Work until so many jobs have run, or until the end."""
        while self._finish is None and self._graph.ran < until:
            news = self.machine.updates()
            if not news:
                return
            self._take(news)


@dataclass
class Row:
    """The figures of one size, in seconds and bytes."""

    jobs: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)
    report: int = 0

    def took(self, what: str, wall: float, cpu: float) -> None:
        self.seconds.setdefault(what, []).append(wall)
        self.cpu.setdefault(what, []).append(cpu)

    def cells(self) -> tuple[str, ...]:
        def least(what: str) -> str:
            if what == "dashboard: counts":
                return f"({min(self.seconds[what]):.2f})"
            return f"{min(self.cpu[what]):.2f} ({min(self.seconds[what]):.2f})" if what in self.seconds else "–"

        return (f"{self.jobs:,}", *(least(what) for what in ASKED), f"{self.report / 1e6:.2f} MB" if self.report else "–")


ASKED = {
    "status": "`toil status`",
    "why": "`toil why`",
    "why JOB": "`toil why JOB`",
    "dashboard: counts": "dashboard shows counts",
    "dashboard: all": "dashboard shows all",
    "status, ended": "`toil status` at the end",
    "stats": "`toil stats`",
    "report": "`toil report`",
}
HEAD = ("Jobs", *ASKED.values(), "Size of the report")



def watch(size: int, rounds: int, folder: Path) -> Row:
    """Measure one size.

    Args:
        size: How many jobs.
        rounds: How often each command is run.
        folder: An empty folder.
    """
    row = Row(size)
    store = FileJobStore(str(folder / "store"), Config())
    store.prepare()
    held = False
    batch = Genomes(store, size - 1, lambda: held)
    begin(store, str(folder / "store"), batch.initial(), Config(), "genomes")
    store.create(keys.leader(1), run.encode(this_leader(1)))
    store.create(keys.setup(1), work.encode(Setup(script="/home/me/genomes.py", options=Config().as_dict())))
    graph = Graph(1, Policy(), Sizing(slots=float(SLOTS)))
    load_initial(store, graph)
    folded, page = Checkpoints(store, 1), Watch(store, 1, WatchOptions(), Requirement(16.0, 64 * _GIB, 500 * _GIB), float(SLOTS))
    loop = HalfWay(batch, graph, store, "file:x", keys.setup(1), batch, folded, Teller([]))
    loop.begin()
    loop.turn(max(2, size // 2))
    held = True
    loop.turn(size)
    page.write(graph, time.time())
    job = next(reversed(graph.jobs))  # it waits: of one that runs, the page would tell at once
    for _ in range(rounds):
        ask(row, "status", folder, "status", "store")
        ask(row, "why", folder, "why", "store")
        ask(row, "why JOB", folder, "why", "store", job)
        look(row, folder)
    save(row)
    held = False
    batch.go_on()
    loop.turn(size)
    folded.write(graph, ended=True)
    page.write(graph, time.time(), "succeeded")
    for _ in range(rounds):
        ask(row, "status, ended", folder, "status", "store")
        ask(row, "stats", folder, "stats", "store")
        ask(row, "report", folder, "report", "store")
    row.report = (folder / "report.html").stat().st_size
    store.destroy()
    return row


def environment() -> dict[str, str]:
    """Of commands: this one's, without what would change them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOIL_")}


def toil(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).parent / "toil"), *arguments]


def ask(row: Row, what: str, folder: Path, *arguments: str) -> None:
    """Run a command, and keep how long it took."""
    found = measure(toil(*arguments), cwd=folder, environment=environment(), limit=LIMIT)
    if found.status:
        raise RuntimeError(f"toil {' '.join(arguments)} ended with {found.status}: {found.err}")
    row.took(what, found.wall, found.cpu)
    print(f"  {row.jobs:,} jobs, {what}: {found.wall:.2f} s, {found.cpu:.2f} CPU-s", file=sys.stderr, flush=True)


def look(row: Row, folder: Path) -> None:
    """Open the dashboard, and keep when it tells the counts, and when all."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(toil("dashboard", "store", "--no-browser", "--json"), cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL) as shown:
        assert shown.stdout is not None
        try:
            address = json.loads(shown.stdout.readline())["url"]
            for event, detailed in events(f"{address}events"):
                row.seconds.setdefault(f"dashboard: {'counts' if event == 'status' else 'all'}", []).append(time.monotonic() - began)
                if event == "details" or not detailed:
                    break
        finally:
            shown.terminate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row.cpu.setdefault("dashboard: all", []).append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def events(address: str) -> Iterator[tuple[str, bool]]:
    """The server's events, and whether details follow."""
    with urllib.request.urlopen(address, timeout=LIMIT) as answer:
        event, seen = "", set()
        for line in answer:
            if line.startswith(b"event: "):
                event = line[7:].decode().strip()
            elif line.startswith(b"data: ") and event in ("status", "details") and event not in seen:
                seen.add(event)
                yield event, event == "details" or bool(json.loads(line[6:])["detailed"])


def saved() -> dict[int, Row]:
    """The figures of the last time, by size."""
    return {row["jobs"]: Row(**row) for row in json.loads(SAVED.read_text())} if SAVED.exists() else {}


def save(row: Row) -> None:
    """Keep the figures of a size, in the place of those of the last time."""
    rows = {**saved(), row.jobs: row}
    SAVED.parent.mkdir(exist_ok=True)
    SAVED.write_text(json.dumps([asdict(rows[each]) for each in sorted(rows)], indent=1))


def main() -> None:
    parsing = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsing.add_argument("--sizes", default=SIZES, help="how many jobs; several with commas between")
    parsing.add_argument("--rounds", type=int, default=3, help="how often each command is run (default 3)")
    parsing.add_argument("--document", action="store_true", help="write the figures into docs/benchmarks.md")
    given = parsing.parse_args()
    for size in map(int, filter(None, given.sizes.split(","))):
        with tempfile.TemporaryDirectory(prefix="toil-watching-") as folder:
            save(watch(size, given.rounds, Path(folder)))
    rows = saved()
    text = table.markdown(HEAD, [rows[size].cells() for size in sorted(rows)])
    print(text)
    if given.document:
        described = machine.describe(os.cpu_count() or 1, Path(tempfile.gettempdir()))
        told = f"{described['Processor']}; {described['Memory']}; job stores on {described['Job stores on']}; load {described['Load before']}"
        document.put(f"{text}\n\n{told}.", name="watching")


if __name__ == "__main__":
    main()
