"""Status of workflows large and small: counts agree with the whole graph, and large ones are not read whole."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from tests.monitor import stores
from toil_core.batch_system import Requirement, Usage
from toil_core.leader import begin, page
from toil_core.leader.checkpoints import Checkpoints, load_initial
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Command, Committed, Submit
from toil_core.leader.retries import Policy
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.monitor import glance as glances
from toil_core.monitor.glance import glance
from toil_core.monitor.status import Status, examine, examine_graph
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Kind, NewJob, Result
from toil_core.wire.patient import PatientStore


class Run:
    """A leader's doings by hand, over a root with that many children of two names."""

    def __init__(self, folder: Path, leaves: int) -> None:
        self.store = stores.opened(folder)
        self.store.prepare()
        below = tuple(f"0.{number}" for number in range(1, leaves + 1))
        jobs = (NewJob("0.0", 0, (0, 0), 0, (), below), *(NewJob(id, 1 + place % 2, (0, 0), 0) for place, id in enumerate(below)))
        kinds = tuple(Kind(name, Requirement()) for name in ("top", "even", "odd"))
        initial = Result("0", kinds=kinds, jobs=jobs, children=("0.0",))
        begin(self.store, str(folder), commits.encode("0", 0, [(msgspec.msgpack.encode(initial), b"", Usage())]), Config(), "many")
        self.graph = Graph(1, Policy(), Sizing(slots=2))
        load_initial(self.store, self.graph)
        self.checkpoints = Checkpoints(self.store, 1)
        self.watch = Watch(self.store, 1, WatchOptions())
        self.todo: list[Submit] = []
        self.take(self.graph.resume())

    def take(self, commands: list[Command]) -> None:
        self.todo += [command for command in commands if isinstance(command, Submit)]

    def commit(self, count: int = 1) -> None:
        for _ in range(count):
            work = self.todo.pop(0)
            key = keys.commit(work.request, 0)
            results = [(msgspec.msgpack.encode(Result(task.job)), b"", Usage(wall=1.0, cpu=0.5)) for task in work.tasks]
            data = commits.encode(work.request, 0, results)
            self.store.create(key, data)
            commit, start = commits.whole(data, key)
            self.take(self.graph.apply(Committed(commit, key, start, b"", 0.0)))

    def page(self, outcome: str = "") -> None:
        self.watch.write(self.graph, time.time(), outcome)


class NoGraph(PatientStore):
    """A store that lets nobody read what grows with the workflow."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        assert not key.startswith(keys.CHECKPOINTS) and key != keys.commit(keys.ROOT, 0), f"{key} was read"
        return super().read(key, start, stop)


def counts(status: Status) -> list[tuple[str, int, int]]:
    return [(kind.name, kind.total, kind.done) for kind in status.kinds]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glances, "SMALL", 0)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("alive", [True, False])
def test_a_large_workflow_is_not_read(tmp_path: Path, alive: bool) -> None:
    run = Run(tmp_path / "s", 5000)
    stores.led(run.store, pid=os.getpid() if alive else stores.dead_process())
    run.commit(40)
    run.checkpoints.write(run.graph)
    run.page()
    told = glance(NoGraph(run.store), "s")
    assert told.leader.state == ("running" if alive else "dead")
    assert (told.total, told.done, told.as_of > 0) == (5001, run.graph.ran, True)
    assert counts(told) == counts(examine(run.store, "s"))


@pytest.mark.usefixtures("large")
def test_what_a_dead_leader_did_not_tell_is_counted(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", 3000)
    stores.led(run.store, pid=stores.dead_process())
    run.commit(3)
    run.checkpoints.write(run.graph)
    run.page()
    opened = len(run.todo)
    run.commit(opened)
    told = glance(NoGraph(run.store), "s")
    assert counts(told) == counts(examine(run.store, "s")) and told.untold == 0
    run.commit(5)
    told, exact = glance(NoGraph(run.store), "s"), examine(run.store, "s")
    assert (told.total, told.done) == (exact.total, exact.done) == (3001, run.graph.ran)
    assert told.untold == exact.done - sum(kind.done for kind in told.kinds) > 0


def test_a_small_workflow_is_told_exactly_with_what_runs(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", 8)
    stores.led(run.store)
    run.commit(2)
    first, second = run.todo[0], run.todo[1]
    for number, work in enumerate((first, second)):
        run.graph.requests[work.request].node, run.graph.requests[work.request].started = f"node-{number}", 1000.0 + number
    run.page()
    told = glance(run.store, "s")
    assert [(job.job, job.node, job.since) for job in told.running_jobs] == [(first.tasks[0].job, "node-0", 1000.0), (second.tasks[0].job, "node-1", 1001.0)]
    run.commit()
    told = glance(run.store, "s")
    assert (told.done, told.running, [job.job for job in told.running_jobs]) == (3, 1, [second.tasks[0].job])


def test_the_last_word_of_a_leader_is_taken(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", 4)
    stores.led(run.store)
    run.commit(3)
    run.page("interrupted")
    told = glance(NoGraph(run.store), "s")
    assert (told.leader.state, told.done, told.running, told.complete) == ("stopped", 3, 0, False)


def test_a_page_that_cannot_be_read_is_as_none(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", 4)
    stores.led(run.store)
    run.commit(3)
    run.store.write(keys.page(1), BytesIO(b"rubbish"))
    assert glance(run.store, "s").done == 3


def test_a_job_that_failed_for_good_after_the_leader_told_of_its_first_failure(tmp_path: Path) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store)
    stores.committed(store)
    graph = examine_graph(store, "file:s")[1]
    told = page.of(graph, time.time())
    before = [(job, name, False, why) for job, name, _, why in told.failures]
    store.write(keys.page(1), BytesIO(page.encode(msgspec.structs.replace(told, failures=before, failed=0))))
    found = glance(store, "file:s")
    assert found.failed == 1
    assert [(failure.job, failure.final) for failure in found.failures] == [("1-1.0.2", True), ("1-1.0.1", False)]
