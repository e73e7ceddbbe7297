"""One simulated run from its beginning to its end: leaders that die, freeze and are replaced, and whoever starts the next one."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from toil_core.leader.graph import Graph
from toil_core.leader.run import Outcome
from toil_core.testing.sim.broken import need
from toil_core.testing.sim.chance import Chance, Fault
from toil_core.testing.sim.clock import Clock
from toil_core.testing.sim.cluster import Cluster
from toil_core.testing.sim.conditions import Conditions, Report
from toil_core.testing.sim.invariants import Epochs, LeaderTruth, Truth, check_files
from toil_core.testing.sim.life import Life
from toil_core.testing.sim.program import Plan, Program, Value
from toil_core.testing.sim.store import Blobs
from toil_core.wire import commits, keys
from toil_core.wire.work import Task

SECRET = "hunter2-is-no-password"
"""Is in the leader's environment; must be nowhere else."""


class World:
    """Simulates one run.

    Args:
        program: What is run.
        seed: The root seed.
        conditions: What the world is like.
        faults: What goes wrong, instead of what the conditions' mix says.
    """

    def __init__(self, program: Program, seed: int, conditions: Conditions | None = None, faults: Iterable[Fault] | None = None) -> None:
        self.program = program
        self.conditions = conditions = conditions or Conditions()
        self.clock = Clock()
        self.chance = Chance(seed, conditions.mix, faults, conditions.most)
        self.blobs = Blobs(self.clock, self.chance, self, conditions.store)
        self.cluster = Cluster(self, conditions.nodes, conditions.cores)
        self.truth = Truth(program)
        self.report = Report()
        self.lives: list[Life] = []
        self.outcome: Outcome | None = None
        self.checking = False
        """Whether the run is over, and is only looked at."""
        self.listed = 0
        """The newest epoch whose leader has listed the commits that count for it."""
        self._final: Graph | None = None
        self._epochs = Epochs()
        self._begun = self.clock.now

    def run(self) -> Report:
        """Run to the end, and see whether all is well."""
        report, conditions = self.report, self.conditions
        with _listening():
            try:
                self.clock.later(conditions.trouble, self.chance.calm)
                self.start_leader()
                self._wait(conditions.trouble + conditions.patience)
                self.chance.calm()
                self._check_end()
                self._check_again()
            except Exception as error:  # noqa: BLE001  whatever it is, it is told with the faults that led to it
                report.broken = f"{type(error).__name__}: {error}"
                report.error = error
            finally:
                self.clock.close()
        report.faults, report.leaders = list(self.chance.happened), len(self.lives)
        return report

    def start_leader(self, *, take_over: bool = False) -> None:
        """Somebody starts the workflow, or starts it again."""
        if self.outcome is None:
            Life(self, len(self.lives) + 1, take_over).start()

    @property
    def newest(self) -> Graph | None:
        """The graph of the newest epoch."""
        graphs = [life.graph for life in self.lives if life.graph is not None]
        return max(graphs, key=lambda graph: graph.issuer.epoch, default=None)

    @property
    def led(self) -> LeaderTruth | None:
        """What the leader of the newest epoch knows, of those that have begun."""
        return max((life.truth for life in self.lives if life.truth is not None), key=lambda truth: truth.epoch, default=None)

    def listing(self, epoch: int) -> None:
        """The leader of the epoch lists the commits that count for it."""
        self.listed = max(self.listed, epoch)
        for life in self.lives:
            if life.truth is not None and life.truth.epoch < epoch:
                life.truth.succeeded()

    # What workers and the store tell

    def starting(self, request: str, task: Task, plan: Plan) -> None:
        """An attempt begins; its values are what they should be."""
        self.trace(f"{request} starts {task.job} {plan.name}, attempt {task.attempt}")
        self.truth.starting(request, task, plan)
        given = {value.plan: value.digest for _, part in task.values for value in [msgspec.json.decode(part, type=Value)]}  # type: ignore[arg-type]
        for each in self.program.promised(plan.needs):
            need(given.get(each.name) == self.program.digests[each.name], f"{plan} is not given the value of {each}")

    def failures(self, request: str, plan: Plan) -> int:
        """How many attempts at the plan have begun in the request's epoch."""
        return self.truth.begun[keys.request_order(request)[0], plan]

    def troubled(self, request: str, jobs: list[str]) -> None:
        """The worker cannot go on: each of its jobs has one attempt less."""
        for job in jobs:
            self.truth.charged[keys.request_order(request)[0], job] += 1

    def twice(self, request: str) -> None:
        """The request is delivered twice."""
        self.trace(f"{request} is delivered again")
        self.truth.twice.add(request)

    def succeeded(self, request: str, plan: Plan) -> None:
        """An attempt succeeded."""
        self.truth.succeeded(request, plan)

    def awaited(self, request: str) -> bool:
        """Whether the newest leader waits for the request."""
        newest = self.newest
        return newest is not None and request in newest.requests

    def leads(self, request: str) -> bool:
        """Whether the request was sent by the newest leader."""
        newest = self.newest
        return newest is not None and keys.request_order(request)[0] == newest.issuer.epoch

    def _forgotten(self, request: str) -> bool:
        """Whether another leads than who sent the request, or nobody does and whoever comes next will not look for it."""
        return not self.leads(request) or (all(life.over for life in self.lives) and self._epochs.settled(request))

    def _unlooked_for(self, request: str) -> bool:
        """Whether nobody will remove a file that the request writes now, unless its worker does."""
        return request in self.truth.fenced or self._forgotten(request)

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        """A blob is there that was not."""
        self.written(who, key, data)
        if late or (key.startswith(keys.FILES) and self._unlooked_for(key.split("/")[1])):
            self.truth.unswept.add(key)
        if late:
            return
        if key.startswith(keys.CHECKPOINTS):
            self._epochs.wrote(key, data)
        elif key.startswith(keys.COMMITS) and key != keys.commit(keys.ROOT, 0):
            commit, start = commits.decode(data, key)
            if self._forgotten(commit.request):
                self.truth.late.add(commit.request)
            if commit.void:
                self.truth.fenced.add(commit.request)
            for entry in commit.entries:
                self.truth.committed(commit.request, entry.result, _file_of(data, start, entry))

    def written(self, who: str, key: str, data: bytes, former: bytes | None = None) -> None:
        """A blob is there, perhaps in place of another."""
        if former is not None:
            self._epochs.replaced(who, key, former, data)
        need(SECRET.encode() not in data, f"{who} writes a secret to {key}")

    def deleting(self, who: str, keys: list[str]) -> None:
        """These blobs are about to go."""
        newest = self.newest
        for key in keys:
            need(newest is None or key not in newest.held, f"{who} deletes {key}, which is needed")
        self._epochs.deleting(who, keys)

    def trace(self, line: str) -> None:
        """A line for the record."""
        self.report.trace.append(f"{self.clock.now - self._begun:.4f} {line}")

    # The end

    def finished(self, life: Life, outcome: Outcome) -> None:
        """A leader has brought the workflow to its end."""
        self.outcome, self._final = outcome, life.graph
        self.report.seconds = self.clock.now - self._begun
        self.clock.wake(self.clock.main)

    def _wait(self, seconds: float) -> None:
        limit = self.clock.now + seconds
        while self.outcome is None and self.clock.now < limit:
            self.clock.wait(limit - self.clock.now)
        need(self.outcome is not None, f"not done {seconds:.0f} s after the beginning")

    def _check_end(self) -> None:
        """Everything ran, each job took effect once, and the outcome is what it should be."""
        graph = self._final
        assert graph is not None and self.outcome is not None
        LeaderTruth(graph).check_held(self.blobs.data, deep=True)
        wanted = Counter(plan.shape or plan.name for plan in self.program.plans)
        found = {name: (tally.total, tally.ran) for name, tally in graph.tallies.items()}
        need(found == {name: (count, count) for name, count in wanted.items()}, f"at the end there are {found}; there should be {dict(wanted)}")
        value = msgspec.json.decode(self.outcome.value, type=Value)
        need(value.digest == self.program.digests[self.program.root.name], "the outcome is another")
        values = {each.plan: each.digest for part in self.outcome.values.values() for each in [msgspec.json.decode(part, type=Value)]}
        for plan in self.program.promised(self.program.root.promises):
            need(values.get(plan.name) == self.program.digests[plan.name], f"the outcome lacks the value of {plan}")
        self.report.value = value.digest.encode()

    def _check_again(self) -> None:
        """Starting it once more changes nothing, and nothing superfluous is left."""
        outcome, self.outcome = self.outcome, None
        self.checking = True
        self.clock.wait(400.0)  # whatever still runs ends
        for life in self.lives:
            life.die()
        count = self._attempts()
        self.start_leader(take_over=True)
        self._wait(600.0)
        need(self.outcome == outcome, "a restart after the end has another outcome")
        need(self._attempts() == count, "a restart after the end runs jobs")
        check_files(self.program, self.truth, self.blobs.data)

    def _attempts(self) -> int:
        return sum(self.truth.begun.values())


def _file_of(data: bytes, start: int, entry: commits.Entry) -> str:
    """The file that an attempt says it wrote."""
    base, (first, last) = start + entry.base, entry.result.value
    return msgspec.json.decode(data[base + first : base + last], type=Value).file if last else ""


class _Listener(logging.Handler):
    """Looks into everything that leaders tell the user."""

    def emit(self, record: logging.LogRecord) -> None:
        need(SECRET not in record.getMessage(), f"a secret is logged: {record.msg}")


@contextmanager
def _listening() -> Iterator[None]:
    """Leaders talk to nobody but the listener meanwhile, and have a secret in their environment."""
    log = logging.getLogger("toil")
    former, handlers, passes = log.level, log.handlers, log.propagate
    listener = _Listener()
    log.handlers, log.propagate = [listener], False
    log.setLevel(logging.WARNING)
    os.environ["TOIL_SIM_PASSWORD"] = SECRET
    try:
        yield
    finally:
        del os.environ["TOIL_SIM_PASSWORD"]
        log.handlers, log.propagate = handlers, passes
        log.setLevel(former)
