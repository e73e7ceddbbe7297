"""What the leader costs: processor time and memory for each job, at several sizes and shapes.

The real graph, issuer, loop and checkpoints run; the batch system answers every request at once
with a commit, and the job store forgets what it is given. The cost of making commits is the
workers' and is taken off, as measured apart. Each case runs in a process of its own.

    python benchmarks/leader.py [--sizes 1000,10000,100000] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO

import msgspec

from toil_core.batch_system import BatchSystem, Request, Requirement, State, Update, Usage
from toil_core.errors import NoSuchKey
from toil_core.job_store import Blob, JobStore
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.collector import rare
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.loop import Loop
from toil_core.leader.moves import Finish, Submit
from toil_core.leader.retries import Policy
from toil_core.leader.tell import Teller
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Kind, NewJob, Result
from toil_core.wire.work import Task, Work, decode_work

BODY = b"module:function and two small arguments, pickled: about as many bytes as such a body has in practice" + b"." * 60
VALUE = b"a small value"
INITIAL = keys.commit(keys.ROOT, 0)
TARGET_MICROSECONDS, TARGET_BYTES = 60.0, 1024.0


@dataclass(frozen=True)
class Figures:
    """One case's figures.

    Args:
        shape: The workflow's shape.
        isolated: Whether each job has a process of its own, so that batches are smaller.
        jobs: How many jobs ran.
        microseconds: Processor time of the leader for each job.
        bytes: Memory of the leader for each job that was known at once, at the peak.
        requests: How many requests it took.
        checkpoints: How many checkpoints were written.
    """

    shape: str
    isolated: bool
    jobs: int
    microseconds: float
    bytes: float
    requests: int
    checkpoints: int


class ForgetfulStore(JobStore):
    """Counts checkpoints, and keeps nothing."""

    def __init__(self) -> None:
        self.checkpoints = 0

    def prepare(self) -> None:
        pass

    def destroy(self) -> None:
        pass

    def create(self, key: str, data: bytes) -> None:
        self.checkpoints += key.startswith(keys.CHECKPOINTS)

    def write(self, key: str, stream: BinaryIO) -> None:
        stream.read()

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        raise NoSuchKey(key)

    def stat(self, key: str) -> Blob:
        raise NoSuchKey(key)

    def delete(self, keys: Iterable[str]) -> None:
        for _ in keys:
            pass

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return iter(())


class NullMachine(BatchSystem):
    """Answers each request with what `behave` says that its tasks return."""

    def __init__(self, behave: Callable[[str, Task], tuple[Result, bytes]]) -> None:
        self._behave = behave
        self._news: list[Update] = []
        self.requests = 0
        self.jobs = 0
        self.seconds = 0.0

    def submit(self, requests: Sequence[Request]) -> None:
        start = time.thread_time()
        for request in requests:
            self._news.append(Update(request.id, State.ENDED, commit=self.commit(decode_work(request.work)), commits=1))
        self.seconds += time.thread_time() - start
        self.requests += len(requests)

    def commit(self, work: Work) -> bytes:
        """What the work's tasks come to."""
        self.jobs += len(work.tasks)
        results = []
        for task in work.tasks:
            result, payload = self._behave(work.request, task)
            results.append((msgspec.msgpack.encode(result), payload, _USAGE))
        return commits.encode(work.request, 0, results)

    def updates(self, seconds: float | None = None) -> list[Update]:
        news, self._news = self._news, []
        return news

    def cancel(self, ids: Iterable[str]) -> None:
        pass

    def close(self) -> None:
        pass


class InlineLoop(Loop):
    """The loop without its second thread: the null batch system never makes it wait."""

    def first(self, machine: BatchSystem) -> None:
        """Issue the first job, and take in what came of it."""
        self._carry_out(self._graph.resume())
        self._flush()
        for update in machine.updates():
            self._update(update)

    @property
    def finish(self) -> Finish | None:
        """How the run ended."""
        return self._finish

    def requests(self, submits: Iterable[Submit]) -> list[Request]:
        """What is sent for each."""
        return [self._request(submit) for submit in submits]

    def run_inline(self, machine: BatchSystem) -> None:
        self._carry_out(self._graph.resume())
        self._flush()
        while self._finish is None:
            self._take(machine.updates())


_USAGE = Usage(wall=0.0005, cpu=0.0004, memory=30 << 20, started=1.7e9)
_CRC, _VALUE_CRC = zlib.crc32(BODY), zlib.crc32(VALUE)


class Program:
    """Jobs of one shape.

    Args:
        shape: `fan-out`, `fan-in`, `chain` or `tree`.
        size: How many jobs, about.
        isolated: Whether they run in processes of their own.
    """

    def __init__(self, shape: str, size: int, *, isolated: bool) -> None:
        self.kind = Kind("work", Requirement(cores=1.0), isolated)
        self.shape, self.size = shape, size
        self.depth = size.bit_length() - 1

    def initial(self) -> bytes:
        result, payload = self._adding("0", [((), ())], [0], [])
        return commits.encode("0", 0, [(msgspec.msgpack.encode(result), payload, Usage())])

    def behave(self, request: str, task: Task) -> tuple[Result, bytes]:
        """What a task returns and adds."""
        job = task.job
        if self.shape == "tree":
            depth = len(task.body) - len(BODY) if isinstance(task.body, bytes) else 0
            return (
                self._adding(job, [((), ())] * 2, [0, 1], [], prefix=f"{request}.{job}", more=depth + 1)
                if depth < self.depth - 1
                else _leaf(job)
            )
        if job != "0.0":
            return _leaf(job)
        if self.shape == "chain":
            links = [((f"{request}.{number + 1}",), ()) for number in range(self.size - 1)]
            return self._adding(job, [*links, ((), ())], [0], [], prefix=request)
        leaves: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), ())] * self.size
        if self.shape == "fan-out":
            return self._adding(job, leaves, range(self.size), [], prefix=request)
        gather = ((), tuple(f"{request}.{number}" for number in range(self.size)))
        return self._adding(job, [*leaves, gather], range(self.size), [self.size], prefix=request)

    def _adding(
        self,
        job: str,
        new: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
        children: Iterable[int],
        follow_ons: Iterable[int],
        *,
        prefix: str = "0",
        more: int = 0,
    ) -> tuple[Result, bytes]:
        body = BODY + b"." * more
        crc, size = zlib.crc32(body), len(body)
        jobs = tuple(
            NewJob(f"{prefix}.{number}", 0, (size * number, size * (number + 1)), crc, needs, below)
            for number, (below, needs) in enumerate(new)
        )
        end = size * len(new)
        result = Result(
            job, (end, end + len(VALUE)), _VALUE_CRC, (), (self.kind,), jobs,
            tuple(f"{prefix}.{number}" for number in children), tuple(f"{prefix}.{number}" for number in follow_ons),
        )  # fmt: skip
        return result, body * len(new) + VALUE


def _leaf(job: str) -> tuple[Result, bytes]:
    return Result(job, (0, len(VALUE)), _VALUE_CRC), VALUE


def measure(shape: str, size: int, *, isolated: bool) -> Figures:
    """Run one case in this process."""
    program = Program(shape, size, isolated=isolated)
    machine, store = NullMachine(program.behave), ForgetfulStore()
    graph = Graph(1, Policy(), Sizing(slots=2.0))
    data = program.initial()
    commit, start = commits.whole(data, INITIAL)
    graph.load(commit, INITIAL, start, data[start:])
    loop = InlineLoop(graph, store, "memory:x", keys.setup(1), machine, Checkpoints(store, 1), Teller([]))
    before = time.thread_time()
    loop.run_inline(machine)
    seconds = time.thread_time() - before - machine.seconds
    return Figures(shape, isolated, machine.jobs, 1e6 * seconds / machine.jobs, remembered(program), machine.requests, store.checkpoints)


def remembered(program: Program) -> float:
    """Bytes for each job of a graph that knows all of them, when nothing else is kept."""
    import gc
    import tracemalloc

    graph = Graph(1, Policy(), Sizing(slots=2.0))
    data = program.initial()
    commit, start = commits.whole(data, INITIAL)
    graph.load(commit, INITIAL, start, data[start:])
    gc.collect()
    tracemalloc.start()
    if program.shape == "tree":
        _grow(program, graph)
    else:
        _tell_first(program, graph)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / len(graph.jobs)


def _tell_first(program: Program, graph: Graph) -> None:
    from toil_core.leader.moves import Committed, Submit

    (submit,) = [command for command in graph.resume() if isinstance(command, Submit)]
    machine = NullMachine(program.behave)
    data = machine.commit(Work(submit.request, "", "", submit.kinds, submit.tasks))
    key = keys.commit(submit.request, 0)
    commit, start = commits.whole(data, key)
    graph.apply(Committed(commit, key, start, data[start:], 0.0))


def _grow(program: Program, graph: Graph) -> None:
    """Run a tree down to its leaves, which is when most of it is known."""
    from toil_core.leader.moves import Command, Committed, Submit

    machine, commands = NullMachine(program.behave), graph.resume()
    limit = 2 ** (program.depth - 1) - 1
    while commands:
        more: list[Command] = []
        for submit in commands:
            if isinstance(submit, Submit) and graph.ran + len(submit.tasks) <= limit:
                data = machine.commit(Work(submit.request, "", "", submit.kinds, submit.tasks))
                key = keys.commit(submit.request, 0)
                commit, start = commits.whole(data, key)
                more.extend(graph.apply(Committed(commit, key, start, data[start:], 0.0)))
        commands = more


def apart(shape: str, size: int, *, isolated: bool) -> Figures:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", json.dumps([shape, size, isolated])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Figures(**json.loads(done.stdout))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000", help="How many jobs; several with commas between.")
    parser.add_argument("--json", action="store_true", help="Print JSON lines instead of a table.")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        shape, size, isolated = json.loads(options.case)
        with rare():
            print(json.dumps(asdict(measure(shape, size, isolated=isolated))))
        return
    if not options.json:
        print(f"{'shape':8} {'processes':10} {'jobs':>8} {'CPU-us/job':>11} {'bytes/job':>10} {'requests':>9} {'checkpoints':>12}")
    for shape in ("fan-out", "fan-in", "chain", "tree"):
        for isolated in (True, False):
            for size in map(int, options.sizes.split(",")):
                found = apart(shape, size, isolated=isolated)
                if options.json:
                    print(json.dumps(asdict(found)), flush=True)
                    continue
                over = "  over the target" if found.microseconds > TARGET_MICROSECONDS or found.bytes > TARGET_BYTES else ""
                processes = "isolated" if isolated else "shared"
                print(
                    f"{found.shape:8} {processes:10} {found.jobs:8,} {found.microseconds:11.1f} {found.bytes:10.0f} "
                    f"{found.requests:9,} {found.checkpoints:12,}{over}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
