"""What a job costs does not depend on how many there are: counted in calls and in bytes, never in time."""

from __future__ import annotations

import gc
import tracemalloc
import zlib
from collections.abc import Callable

import msgspec
import pytest

from benchmarks.leader import BODY, INITIAL, ForgetfulStore, InlineLoop, NullMachine, Program
from tests.counting import calls
from toil_core.batch_system import Requirement, Usage
from toil_core.leader import snapshot
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.retries import Policy
from toil_core.leader.tell import Teller
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Kind, NewJob, Result

SMALL, LARGE = 600, 3000


def graph_of(initial: bytes) -> Graph:
    graph = Graph(1, Policy(), Sizing(slots=32.0))
    commit, start = commits.whole(initial, INITIAL)
    graph.load(commit, INITIAL, start, initial[start:])
    return graph


def run(shape: str, size: int) -> Callable[[], None]:
    program = Program(shape, size, isolated=True)
    graph, store, machine = graph_of(program.initial()), ForgetfulStore(), NullMachine(program.behave)
    loop = InlineLoop(graph, store, "memory:x", keys.setup(1), machine, Checkpoints(store, 1), Teller([]))

    def act() -> None:
        loop.run_inline(machine)
        assert loop.finish is not None and loop.finish.outcome == "succeeded"
        assert machine.jobs > 0.5 * size  # a tree is as large as a power of two
        per_job.append(machine.jobs)

    per_job: list[int] = []
    act.jobs = per_job  # type: ignore[attr-defined]
    return act


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", ["fan-out", "fan-in", "chain", "tree"])
def test_the_number_of_calls_for_a_job_stays(shape: str) -> None:
    found = []
    for size in (SMALL, LARGE):
        act = run(shape, size)
        found.append(calls(act) / act.jobs[0])  # type: ignore[attr-defined]
    assert found[1] < 1.2 * found[0], found


def many_predecessors(count: int) -> bytes:
    """A root with so many children, and a job below all of these."""
    size, crc, last = len(BODY), zlib.crc32(BODY), f"0.{count + 1}"
    span = [(size * number, size * (number + 1)) for number in range(count + 2)]
    jobs = [NewJob("0.0", 0, span[0], crc, children=tuple(f"0.{number}" for number in range(1, count + 1)))]
    jobs += [NewJob(f"0.{number}", 0, span[number], crc, children=(last,)) for number in range(1, count + 1)]
    jobs.append(NewJob(last, 0, span[-1], crc))
    result = Result("0", kinds=(Kind("job", Requirement()),), jobs=tuple(jobs), children=("0.0",))
    return commits.encode("0", 0, [(msgspec.msgpack.encode(result), BODY * (count + 2), Usage())])


def bytes_taken(action: Callable[[], object]) -> int:
    """Bytes at the peak."""
    gc.collect()
    tracemalloc.start()
    kept = action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak


@pytest.mark.timeout(300)
@pytest.mark.parametrize("shape", ["fan-out", "fan-in", "chain", "below all"])
def test_what_is_remembered_and_restored_of_a_job_stays(shape: str) -> None:
    """Building the graph, writing it, and reading it again."""
    found = []
    for size in (SMALL, LARGE):
        if shape == "below all":
            graph = graph_of(many_predecessors(size))
        else:
            program = Program(shape, size, isolated=True)
            graph = graph_of(program.initial())
            machine = NullMachine(program.behave)
            loop = InlineLoop(graph, ForgetfulStore(), "x", "y", machine, Checkpoints(ForgetfulStore(), 1), Teller([]))
            loop.first(machine)
        assert len(graph.jobs) >= size
        data: list[bytes] = []
        wrote = calls(lambda graph=graph, data=data: data.append(snapshot.encode(graph)))  # type: ignore[misc]
        copy = Graph(1, Policy(), Sizing())
        read = calls(lambda copy=copy, data=data: snapshot.restore(copy, snapshot.decode(data[0], "")))  # type: ignore[misc]
        held = bytes_taken(lambda data=data: _restored(data[0]))  # type: ignore[misc]
        assert len(copy.jobs) == len(graph.jobs)
        found.append((wrote / size, read / size, held / size, len(data[0]) / size))
    small, large = found
    assert all(now < 1.2 * before + 1 for before, now in zip(small, large, strict=True)), found


def _restored(data: bytes) -> Graph:
    graph = Graph(1, Policy(), Sizing())
    snapshot.restore(graph, snapshot.decode(data, ""))
    return graph
