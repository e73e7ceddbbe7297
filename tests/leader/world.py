"""A tiny world for the graph: programs given as plain data, run without clock, process or store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Cancel, Command, Committed, Delete, Done, Failed, Finish, RequestEnded, Submit, TimePassed, Wake
from toil_core.leader.retries import Policy
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Kind, NewJob, Result


@dataclass
class Plan:
    """What a job does when it runs: the jobs it adds, and the jobs that its arguments and value promise."""

    name: str = "job"
    children: list[Plan] = field(default_factory=list)
    follow_ons: list[Plan] = field(default_factory=list)
    needs: list[Plan] = field(default_factory=list)
    promises: list[Plan] = field(default_factory=list)
    adds_children: list[Plan] = field(default_factory=list)
    adds_follow_ons: list[Plan] = field(default_factory=list)
    id: str = ""


def new_jobs(prefix: str, start: int, roots: list[Plan]) -> tuple[list[NewJob], list[Kind]]:
    """Give ids to the static graph under the roots and describe it."""
    found: list[Plan] = []
    stack = list(reversed(roots))
    seen: set[int] = set()
    while stack:
        plan = stack.pop()
        if id(plan) in seen:
            continue
        seen.add(id(plan))
        plan.id = f"{prefix}.{start + len(found)}"
        found.append(plan)
        stack.extend(reversed([*plan.children, *plan.follow_ons]))
    kinds: dict[str, int] = {}
    jobs = [
        NewJob(
            plan.id, kinds.setdefault(plan.name, len(kinds)), (0, 0), 0,
            tuple(p.id for p in plan.needs), tuple(p.id for p in plan.children), tuple(p.id for p in plan.follow_ons),
        )
        for plan in found
    ]  # fmt: skip
    return jobs, [Kind(name, Requirement()) for name in kinds]


class World:
    """Runs a plan through a graph. `order` picks which open request goes on next.

    Attributes:
        log: Ids in the order in which bodies ran for good.
        runs: How often each body ran.
    """

    def __init__(self, root: Plan, *, seed: int = 0, policy: Policy | None = None, sizing: Sizing | None = None, chain: bool = False) -> None:
        self.random = random.Random(seed)
        self.plans: dict[str, Plan] = {}
        self.policy, self.sizing, self.chain = policy or Policy(), sizing or Sizing(slots=4), chain
        self.graph = Graph(1, self.policy, self.sizing, chain=chain)
        self.open: dict[str, Submit] = {}
        self.commits: list[tuple[str, bytes]] = []
        self.log: list[str] = []
        self.runs: dict[str, int] = {}
        self.failed: list[Failed] = []
        self.finish: Finish | None = None
        self.wake = 0.0
        self.now = 0.0
        jobs, kinds = new_jobs("0", 0, [root])
        self._learn([root])
        result = Result("0", kinds=tuple(kinds), jobs=tuple(jobs), children=(root.id,))
        data = commits.encode("0", 0, [(msgspec.msgpack.encode(result), b"", Usage())])
        commit, start = commits.decode(data, "commits/0/000000")
        self.graph.load(commit, "commits/0/000000", start, data[start:])
        self.take(self.graph.resume())

    def _learn(self, plans: list[Plan]) -> None:
        stack = list(plans)
        while stack:
            plan = stack.pop()
            if plan.id not in self.plans:
                self.plans[plan.id] = plan
                stack.extend([*plan.children, *plan.follow_ons])

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Submit():
                    assert command.request not in self.open
                    self.open[command.request] = command
                case Done():
                    self.log.append(command.job)
                case Failed():
                    self.failed.append(command)
                case Finish():
                    self.finish = command
                case Wake():
                    self.wake = command.at
                case Cancel():
                    for request in command.requests:
                        if self.open.pop(request, None):
                            self.take(self.graph.apply(RequestEnded(request, Reason.CANCELLED, "", self.now)))
                case Delete():
                    pass

    def result(self, request: str, job: str, count: Iterator[int]) -> Result:
        plan = self.plans[job]
        self.runs[job] = self.runs.get(job, 0) + 1
        new = [*plan.adds_children, *plan.adds_follow_ons]
        jobs, kinds = new_jobs(request, next(count) * 1000, new) if new else ([], [])
        self._learn(new)
        return Result(
            job, kinds=tuple(kinds), jobs=tuple(jobs), value_needs=tuple(p.id for p in plan.promises),
            children=tuple(p.id for p in plan.adds_children), follow_ons=tuple(p.id for p in plan.adds_follow_ons),
        )  # fmt: skip

    def commit(self, request: str, fails: Callable[[str], Failure | None] = lambda job: None, stored_only: bool = False) -> None:
        submit = self.open.pop(request)
        count = iter(range(1, 1_000_000))
        results = []
        for task in submit.tasks:
            failure = fails(task.job)
            result = Result(task.job, failure=failure) if failure else self.result(request, task.job, count)
            results.append((msgspec.msgpack.encode(result), b"", Usage(wall=0.001)))
        data = commits.encode(request, 0, results)
        self.commits.append((request, data))
        if not stored_only:
            self.take(self.graph.apply(self.event(request, data)))

    def event(self, request: str, data: bytes) -> Committed:
        key = keys.commit(request, 0)
        commit, start = commits.decode(data, key)
        return Committed(commit, key, start, data[start:], self.now)

    def run(self, fails: Callable[[str], Failure | None] = lambda job: None) -> Finish:
        while self.finish is None:
            if self.open:
                self.commit(self.random.choice(list(self.open)), fails)
            else:
                assert self.wake > self.now, "nothing runs and nothing will"
                self.now = self.wake
                self.take(self.graph.apply(TimePassed(self.now)))
        return self.finish

    def crash(self, checkpoint: bytes, folded: int) -> None:
        """A new leader takes over with a checkpoint and the commits made since."""
        saved = snapshot.decode(checkpoint, "checkpoint")
        self.graph = Graph(saved.epoch, self.policy, self.sizing, chain=self.chain)
        snapshot.restore(self.graph, saved)
        later = sorted(self.commits[folded:], key=lambda item: keys.request_order(item[0]))
        for request, data in later:
            epoch, sequence = keys.request_order(request)
            if epoch == saved.epoch and (sequence > saved.sequence or request in self.graph.requests):
                self.graph.replay(self.event(request, data))
        self.graph.take_over(saved.epoch + 1)
        self.open.clear()
        self.take(self.graph.resume())
