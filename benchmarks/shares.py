"""Where the processor time of a job goes: to the graph, to reading commits, to writing requests, to the loop, to the store.

Jobs are led as in `benchmarks.leader`, each in a request of its own, and what comes back is kept. Then each part does its work
once more with nothing in between: the same commits are read, another graph takes them in, the same requests are written, and the same
blobs are made in a folder and deleted. What is left of the whole is the loop's.

    python -m benchmarks.shares [--sizes 20000] [--shapes chain,tree] [--document]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks import document, machine, table
from benchmarks.leader import INITIAL, ForgetfulStore, InlineLoop, NullMachine, Program
from toil_core.batch_system import Update
from toil_core.drivers.file import FileJobStore
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.collector import rare
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Committed, Submit
from toil_core.leader.retries import Policy
from toil_core.leader.tell import Teller
from toil_core.options import Config
from toil_core.wire import commits, keys

T = TypeVar("T")

SHAPES = ("fan-out", "tree", "chain")
_HEAD = ("shape", "jobs", "leader", "graph", "commits read", "requests written", "loop", "store: delete", "store: create", "machines", "load")


class KeepingMachine(NullMachine):
    """Keeps what it answered."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.behave)
        self.answers: list[Update] = []

    def updates(self, seconds: float | None = None) -> list[Update]:
        news = super().updates(seconds)
        self.answers += news
        return news


def row(shape: str, size: int) -> tuple[str, ...]:
    """One shape's figures: processor microseconds of each job."""
    load, program, store = machine.load(), Program(shape, size, isolated=True), ForgetfulStore()
    machines, checkpoints = KeepingMachine(program), Checkpoints(store, 1)
    loop = InlineLoop(_graph(program), store, "memory:x", keys.setup(1), machines, checkpoints, Teller([]))
    whole = _timed(lambda: loop.run_inline(machines))[0] - machines.seconds
    blobs = [(keys.commit(update.id, 0), update.commit or b"") for update in machines.answers]
    reading, committed = _timed(lambda: [_read(*blob) for blob in blobs])
    graph = _graph(program)
    leading, submits = _timed(lambda: _led(graph, committed))
    assert graph.complete, "another graph did not do the same"
    writing, _ = _timed(lambda: loop.requests(submits))
    with TemporaryDirectory(prefix="toil-shares-") as place, FileJobStore(f"{place}/store", Config()) as folder:
        folder.prepare()
        creating, _ = _timed(lambda: [folder.create(*blob) for blob in blobs])
        deleting, _ = _timed(lambda: folder.delete(key for key, _ in blobs))
    parts = (whole, leading, reading, writing, whole - leading - reading - writing, deleting, creating, machines.seconds)
    return (shape, f"{machines.jobs:,}", *(f"{1e6 * part / machines.jobs:.1f}" for part in parts), load)


def _graph(program: Program) -> Graph:
    graph, data = Graph(1, Policy(), Sizing(slots=2.0, most=1)), program.initial()
    commit, start = commits.whole(data, INITIAL)
    graph.load(commit, INITIAL, start, data[start:])
    return graph


def _read(key: str, data: bytes) -> Committed:
    commit, start = commits.decode(data, key)
    return Committed(commit, key, start, commits.sound(commit, data[start:], key), 0.0)


def _led(graph: Graph, committed: Sequence[Committed]) -> list[Submit]:
    commands = graph.resume()
    for event in committed:
        commands += graph.apply(event)
    return [command for command in commands if isinstance(command, Submit)]


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds of this thread, and what the work gave."""
    begun = time.thread_time()
    done = work()
    return time.thread_time() - begun, done


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20000", help="How many jobs; several with commas between.")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="Which shapes.")
    parser.add_argument("--document", action="store_true", help="Write the figures into docs/benchmarks.md.")
    options = parser.parse_args()
    with rare():
        rows = [row(shape, int(size)) for shape in options.shapes.split(",") for size in options.sizes.split(",")]
    found = table.markdown(_HEAD, rows)
    print(found)
    if options.document:
        document.put(found, name="shares")


if __name__ == "__main__":
    main()
