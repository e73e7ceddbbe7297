"""What must hold in a simulated world, whatever goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from toil_core.leader import checkpoints as folding
from toil_core.leader import snapshot
from toil_core.leader.checkpoints import TOMBSTONE, Checkpoints
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.retries import Policy
from toil_core.leader.state import FACTS, JobState
from toil_core.testing.sim.broken import need
from toil_core.testing.sim.chance import Chance
from toil_core.testing.sim.clock import Clock
from toil_core.testing.sim.program import Plan, Program
from toil_core.testing.sim.store import Blobs
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Ref, Result
from toil_core.wire.work import Task


class Truth:
    """What really happened, whatever any leader knows of it.

    Args:
        program: What is run.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self.ran: set[Plan] = set()
        """Those with a commit that says that they succeeded."""
        self.charged: Counter[tuple[int, str]] = Counter()
        """For each epoch and job, how many attempts failed for reasons of their own."""
        self.plans: dict[str, Plan] = {}
        """By job."""
        self.begun: Counter[tuple[int, Plan]] = Counter()
        """How many attempts began, by epoch."""
        self.wrote: dict[str, Plan] = {}
        """Of each file that a commit of success tells of, the plan that it belongs to."""
        self.twice: set[str] = set()
        """Requests that were delivered twice."""
        self.unswept: set[str] = set()
        """Files that were written when nobody looked for their request any more."""
        self.late: set[str] = set()
        """Requests that made commits when their leader had ended."""
        self.fenced: set[str] = set()
        """Requests that were given up."""
        self.within: dict[str, set[Plan]] = {}
        """Those that succeeded in each request."""
        self.counting: dict[tuple[int, str], str] = {}
        """For each epoch and job, the request whose commit of success counts."""

    def starting(self, request: str, task: Task, plan: Plan) -> None:
        """An attempt begins."""
        self.plans[task.job] = plan
        epoch = keys.request_order(request)[0]
        self.begun[epoch, plan] += 1
        missing = self._program.before[plan] - self.ran - self.within.get(request, set())
        need(not missing, f"{plan} starts before the commits of {', '.join(sorted(map(str, missing)))} are there")
        counts = self.counting.get((epoch, task.job))
        need(counts is None or plan.checkpoint or request in self.twice, f"{plan} starts again in {request}, although its commit in {counts} counts")
        tries = self.charged[epoch, task.job]
        need(task.attempt <= tries + 1 or plan.checkpoint, f"attempt {task.attempt} at {plan} after {tries} that were its own fault")

    def succeeded(self, request: str, plan: Plan) -> None:
        """An attempt succeeded; what goes on in the same request shares its fate."""
        self.within.setdefault(request, set()).add(plan)

    def committed(self, request: str, result: Result, file: str) -> None:
        """A commit tells of an attempt and the file that it wrote."""
        plan = self.plans.get(result.job)
        if plan is None:  # it could not even be tried
            return
        if result.failure is not None:
            self.charged[keys.request_order(request)[0], result.job] += 1
            return
        self.ran.add(plan)
        self.wrote[file] = plan
        if not plan.service and request not in self.fenced:
            self.counting.setdefault((keys.request_order(request)[0], result.job), request)


class LeaderTruth:
    """What one leader believes, and whether it may.

    Args:
        graph: Its graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.done: set[str] = set()
        self._settled: set[str] | None = None

    @property
    def epoch(self) -> int:
        """The leader's epoch."""
        return self.graph.issuer.epoch

    def began(self, former: LeaderTruth | None) -> None:
        """The graph is loaded; what counted for the leader before counts."""
        self.done = {job.id for job in self.graph.jobs.values() if job.ran and not job.kind.service}
        for id in former.counting if former is not None else ():
            job = self.graph.jobs.get(id)
            again = job is not None and (job.kind.service or job.kind.checkpoint)  # a commit that only this leader has read may let it run again
            need(job is None or job.ran or again, f"job {id} had run, and does not count for the next leader")

    def succeeded(self) -> None:
        """A later leader lists the commits that count: what this one takes in from now on need not."""
        if self._settled is None:
            self._settled = set(self.done)

    @property
    def counting(self) -> set[str]:
        """What has to count for the next leader."""
        return self.done if self._settled is None else self._settled

    def ran(self, id: str) -> None:
        """The leader says that a job is done."""
        need(id not in self.done, f"job {id} has taken effect twice")
        self.done.add(id)

    def dropped(self, id: str) -> None:
        """The leader runs a checkpoint job again."""
        self.done = {each for each in self.done if each != id and each in self.graph.jobs}

    def check_held(self, data: Mapping[str, bytes], *, deep: bool = False) -> None:
        """Everything that the graph refers to is there.

        Args:
            data: What is stored.
            deep: Whether to compare the bytes too.
        """
        for key in self.graph.held:
            need(key in data, f"{key} is needed and was deleted")
        if not deep:
            return
        for job in self.graph.jobs.values():
            for held in (job.body, job.value):
                if isinstance(held, Ref):
                    commits.check(data[held.key][held.start : held.stop], held)


def check_files(program: Program, truth: Truth, data: Mapping[str, bytes]) -> None:
    """At the end every file is there that has to be, and no other.

    Args:
        program: What was run.
        truth: What really happened.
        data: What is stored.
    """
    asked = set(program.promised([program.root]))  # their values are asked for after the end, so their temporary files stay
    gone = {each for plan in program.plans for each in (*plan.deletes, *([plan] if plan.temporary and plan not in asked else []))}
    kept: set[Plan] = set()
    for key in data:
        if key.startswith(keys.FILES):
            request = key.split("/")[1]
            plan = truth.wrote.get(key)
            if key in truth.unswept or request in truth.late or request in truth.twice:
                kept.update([] if plan is None or plan in gone else [plan])
                continue
            need(plan is not None, f"{key} is of an attempt that does not count, and was kept")
            assert plan is not None
            kept.add(plan)
    for plan in program.plans:
        if plan.writes and plan not in gone:
            need(plan in kept, f"the file of {plan} is gone")
        need(plan not in kept or plan not in gone, f"the file of {plan} was kept although it was deleted")


_FIXED = (keys.COMMITS, keys.CHECKPOINTS, keys.LEADERS, keys.FILES)
"""What such blobs hold never changes, from their creation to their removal."""
_INITIAL = keys.commit(keys.ROOT, 0)


class _Base(NamedTuple):
    """What a restart from one checkpoint needs: the blobs that it refers to, and the commits that came after it."""

    held: frozenset[str]
    epoch: int
    sequence: int
    open: frozenset[str]

    def needs(self, key: str) -> bool:
        if key in self.held:
            return True
        return key.startswith(keys.COMMITS) and key != _INITIAL and self.reads(keys.commit_parts(key)[0])

    def reads(self, request: str) -> bool:
        """Whether a restart looks for what came of the request."""
        epoch, sequence = keys.request_order(request)
        return epoch == self.epoch and (sequence > self.sequence or request in self.open)


class Epochs:
    """Which leaders write checkpoints, and what these need."""

    def __init__(self) -> None:
        self._newest = 0
        self._bases = [_Base(frozenset([_INITIAL]), 1, 0, frozenset())]
        self._written: set[str] = set()

    def wrote(self, key: str, data: bytes) -> None:
        """A checkpoint was created."""
        if data == TOMBSTONE or key in self._written:  # who was not told that it wrote it may write it again when it is gone
            return
        self._written.add(key)
        epoch = int(key.removeprefix(keys.CHECKPOINTS).partition("-")[0])
        need(epoch >= self._newest, f"the leader of epoch {epoch} wrote {key} after one of epoch {self._newest} had")
        self._newest = epoch
        saved = snapshot.decode(data, key)
        base = _Base(frozenset(saved.keys), saved.epoch, saved.sequence, frozenset(id for id, _, jobs, _ in saved.requests if jobs))  # of others all is told
        self._bases = [self._bases[-1], base]

    def settled(self, request: str) -> bool:
        """Whether a leader that starts now asks no more what became of the request."""
        return not self._bases[-1].reads(request)

    def replaced(self, who: str, key: str, former: bytes, data: bytes) -> None:
        """A blob lies where another was."""
        if key == _INITIAL and data == TOMBSTONE:  # what stays when it is no longer needed
            self.deleting(who, [key])
            return
        need(former == data or not key.startswith(_FIXED), f"{who} writes {key} over another blob")

    def deleting(self, who: str, keys: Iterable[str]) -> None:
        """These blobs are about to go; a restart from the newest checkpoint, or from the one before, may not need them."""
        for key in keys:
            need(not any(base.needs(key) for base in self._bases), f"{who} deletes {key}, which a restart needs")


class _Nobody:
    name = "nobody"

    def before(self, site: str) -> None:
        """Nothing is in the way."""

    after = slow = before

    def written(self, who: str, key: str, data: bytes, former: bytes | None = None) -> None:
        """Nobody cares."""

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        """Nobody cares."""

    def deleting(self, who: str, keys: list[str]) -> None:
        """Nobody cares."""

    def trace(self, line: str) -> None:
        """Nobody cares."""


def check_fixpoint(data: Mapping[str, bytes], epoch: int) -> None:
    """A leader that starts on what another left, and one that starts on what that one left, come to the same.

    Args:
        data: What is stored; it is not changed.
        epoch: The epoch of the next leader.
    """
    blobs = Blobs(Clock(), Chance(0, {}), _Nobody())
    blobs.data.update(data)
    store = blobs.door(_Nobody())
    seen = []
    for each in (epoch, epoch + 1, epoch + 2):
        folding.bury(store, each)
        graph = Graph(each, Policy(), Sizing())
        former = folding.existing(store)
        found = folding.load(store, graph, 1)
        graph.take_over(each)
        graph.finished = graph.complete
        checkpoints = Checkpoints(store, each)
        checkpoints.inherit(former, found)
        checkpoints.delete_files(folding.orphans(store, found, each))
        checkpoints.write(graph, ended=graph.finished)
        LeaderTruth(graph).check_held(blobs.data, deep=True)
        seen.append((_state(graph), {key for key in blobs.data if key.startswith(keys.FILES)}))
    need(seen[0] == seen[1] == seen[2], "a second restart comes to something else than the first")


def _state(graph: Graph) -> object:
    saved = snapshot.decode(snapshot.encode(graph), "")
    facts = saved.tallies, saved.failures, saved.failed, saved.finished, saved.services, saved.serving, saved.scopes
    return {job.id: [_plain(getattr(job, name)) for name in FACTS] for job in graph.jobs.values()}, facts


def _plain(fact: object) -> object:
    """What a job's state says, with other jobs by their ids."""
    if isinstance(fact, (tuple, list)):
        return sorted(each.id if isinstance(each, JobState) else str(each) for each in fact)
    return fact
