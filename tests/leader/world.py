"""A tiny world for the graph: programs given as plain data, run without clock, process or store.

The world keeps blobs in a dictionary and removes what the graph calls garbage, so a reference to
something that was removed too early fails where it is read. Every body and value is checked
against what it must be.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import (
    Cancel,
    Command,
    Committed,
    Delete,
    Done,
    Event,
    Failed,
    Finish,
    RequestEnded,
    Said,
    Submit,
    TimePassed,
    Wake,
)
from toil_core.leader.retries import Policy
from toil_core.leader.state import JobState
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Kind, NewJob, Ref, Result
from toil_core.wire.work import Task

INITIAL = keys.commit(keys.ROOT, 0)


@dataclass(eq=False)
class Plan:
    """What a job does when it runs: the jobs it adds, and the jobs that its arguments and value promise."""

    name: str = "job"
    children: list[Plan] = field(default_factory=list)
    follow_ons: list[Plan] = field(default_factory=list)
    needs: list[Plan] = field(default_factory=list)
    promises: list[Plan] = field(default_factory=list)
    adds_children: list[Plan] = field(default_factory=list)
    adds_follow_ons: list[Plan] = field(default_factory=list)
    deletes: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    says: tuple[tuple[int, str], ...] = ()
    requirement: Requirement = field(default_factory=Requirement)
    tries: int | None = None
    size: int = 0

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass
class Node:
    """One job made from a plan: the same plan makes another job when its adder runs again."""

    plan: Plan
    needs: tuple[str, ...]
    body: bytes
    promises: tuple[str, ...] = ()
    value: bytes = b""


def below(tops: Iterable[Plan], *, dynamic: bool = True) -> list[Plan]:
    """The plans and all below them, each once."""
    found: dict[Plan, None] = {}
    stack = list(reversed(list(tops)))
    while stack:
        plan = stack.pop()
        if plan not in found:
            found[plan] = None
            added = [*plan.adds_children, *plan.adds_follow_ons] if dynamic else []
            stack.extend(reversed([*plan.children, *plan.follow_ons, *added]))
    return list(found)


class World:
    """Runs a plan through a graph.

    Attributes:
        log: The plans in the order in which their bodies came to count.
        runs: How often each plan's body ran.
        requests: Every request that was submitted.
        carried: Whether commits come with their payload.
    """

    def __init__(
        self,
        root: Plan,
        *,
        seed: int = 0,
        policy: Policy | None = None,
        sizing: Sizing | None = None,
        chain: bool = False,
        carried: bool = True,
    ) -> None:
        self.random = random.Random(seed)
        self.policy, self.sizing, self.chain, self.carried = policy or Policy(), sizing or Sizing(slots=4), chain, carried
        self.nodes: dict[str, Node] = {}
        self.blobs: dict[str, bytes] = {}
        self.open: dict[str, list[Task]] = {}
        self.numbers: dict[str, int] = {}
        self.requests: list[Submit] = []
        self.log: list[Plan] = []
        self.done: dict[str, None] = {}
        self.runs: dict[Plan, int] = {}
        self.failed: list[Failed] = []
        self.said: list[Said] = []
        self.deleted: list[str] = []
        self.cancelled: list[str] = []
        self.events: list[Committed] = []
        self.finish: Finish | None = None
        self.wake = 0.0
        self.now = 0.0
        self.graph = Graph(1, self.policy, self.sizing, chain=chain)
        jobs, kinds, payload, ids = self.new_jobs("0", [root])
        result = Result("0", kinds=kinds, jobs=jobs, children=(ids[root],))
        data = commits.encode("0", 0, [(msgspec.msgpack.encode(result), payload, Usage())])
        self.blobs[INITIAL] = data
        commit, start = commits.whole(data, INITIAL)
        self.graph.load(commit, INITIAL, start, data[start:] if carried else None)
        self.saved, self.saved_done = snapshot.encode(self.graph), 0
        self.take(self.graph.resume())

    # What happens

    def apply(self, event: Event) -> None:
        self.take(self.graph.apply(event))

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Submit():
                    self.submitted(command)
                case Done():
                    assert command.job not in self.done
                    self.done[command.job] = None
                    self.log.append(self.nodes[command.job].plan)
                case Failed():
                    self.failed.append(command)
                case Finish():
                    assert self.finish is None
                    self.finish = command
                case Wake():
                    self.wake = command.at
                case Said():
                    self.said.append(command)
                case Delete():
                    self.deleted.extend(command.keys)
                case Cancel():
                    self.cancelled.extend(command.requests)
                case _:
                    pass

    def submitted(self, submit: Submit) -> None:
        assert submit.request not in self.numbers, "a request's id must be new"
        assert len({task.job for task in submit.tasks}) == len(submit.tasks)
        for task in submit.tasks:
            assert task.job not in self.done, "what committed must not run again"
            assert self.nodes[task.job].plan not in self.log
            self.check(task)
        self.requests.append(submit)
        self.open[submit.request] = list(submit.tasks)
        self.numbers[submit.request] = 0

    def check(self, task: Task) -> None:
        """The task has its own body, and exactly the values that it needs."""
        node = self.nodes[task.job]
        assert self.read(task.body) == node.body
        wanted, stack = {}, list(node.needs)
        while stack:
            id = stack.pop()
            if id not in wanted:
                wanted[id] = self.nodes[id].value
                stack.extend(self.nodes[id].promises)
        assert {id: self.read(value) for id, value in task.values} == wanted

    def read(self, held: bytes | Ref) -> bytes:
        if isinstance(held, Ref):
            return commits.check(self.blobs[held.key][held.start : held.stop], held)
        return held

    # Workers

    def new_jobs(self, prefix: str, tops: Sequence[Plan]) -> tuple[tuple[NewJob, ...], tuple[Kind, ...], bytes, dict[Plan, str]]:
        """Describe the static graph under the tops, with new ids."""
        plans = below(tops, dynamic=False)
        ids = {plan: f"{prefix}.{number}" for number, plan in enumerate(plans)}
        kinds: dict[Kind, int] = {}
        jobs, payload = [], b""
        for plan, id in ids.items():
            body = f"body of {id} ".encode() + b"." * plan.size
            node = self.nodes[id] = Node(plan, tuple(ids[need] for need in plan.needs), body)
            kind = kinds.setdefault(Kind(plan.name, plan.requirement, tries=plan.tries), len(kinds))
            span = (len(payload), len(payload) + len(body))
            payload += body
            children, follow_ons = (tuple(ids[p] for p in plans) for plans in (plan.children, plan.follow_ons))
            jobs.append(NewJob(id, kind, span, zlib.crc32(body), node.needs, children, follow_ons))
        return tuple(jobs), tuple(kinds), payload, ids

    def attempt(self, request: str, task: Task) -> tuple[Result, bytes]:
        """Run a task's body."""
        plan = self.nodes[task.job].plan
        self.runs[plan] = self.runs.get(plan, 0) + 1
        jobs, kinds, payload, ids = self.new_jobs(f"{request}.{task.job.rpartition('-')[2]}", [*plan.adds_children, *plan.adds_follow_ons])
        node = self.nodes[task.job]
        node.promises = tuple(ids[p] for p in plan.promises)
        node.value = f"value of {task.job} ".encode() + b"." * plan.size
        span = (len(payload), len(payload) + len(node.value))
        result = Result(
            task.job, span, zlib.crc32(node.value), node.promises, kinds, jobs,
            tuple(ids[p] for p in plan.adds_children), tuple(ids[p] for p in plan.adds_follow_ons), plan.deletes, plan.says,
            temporary=plan.temporary,
        )  # fmt: skip
        return result, payload + node.value

    def commit(
        self,
        request: str,
        *,
        tasks: int | None = None,
        fails: Callable[[Plan], Failure | None] = lambda plan: None,
        applied: bool = True,
        chained: Plan | None = None,
        together: Plan | None = None,
        final: bool | None = None,
    ) -> str:
        """Make the request's next commit.

        Args:
            request: The request.
            tasks: How many of its tasks it tells of; all if None.
            fails: How a plan's attempt fails.
            applied: Whether the graph is told.
            chained: A job that the first task adds and that goes on in this request.
            together: One that ran in the same commit.
            final: Whether it is the last; if None it is when no task is left.
        """
        doing, left = self.open[request][:tasks], self.open[request][tasks:] if tasks is not None else []
        results: list[tuple[bytes, bytes, Usage]] = []

        def add(task: Task) -> Result:
            failure = fails(self.nodes[task.job].plan)
            result, payload = (Result(task.job, failure=failure), b"") if failure else self.attempt(request, task)
            results.append((msgspec.msgpack.encode(result), payload, Usage(wall=0.001)))
            return result

        for task in doing:
            last = add(task)
        goes_on = ""
        for plan in (together, chained):
            if plan is not None:
                job = next(new.id for new in last.jobs if self.nodes[new.id].plan is plan)
                task = Task(job, 0, self.nodes[job].body)
                if plan is together:
                    last = add(task)
                else:
                    goes_on, left = job, [task]
        number = self.numbers[request]
        final = not left if final is None else final
        key = keys.commit(request, number)
        assert key not in self.blobs
        self.blobs[key] = commits.encode(request, number, results, final=final, chained=goes_on)
        self.numbers[request] += 1
        self.open[request] = left
        if final:
            del self.open[request]
        if applied:
            self.tell(key)
        return key

    def event(self, key: str) -> Committed:
        data = self.blobs[key]
        commit, start = commits.whole(data, key)
        return Committed(commit, key, start, commits.sound(commit, data[start:], key) if self.carried else None, self.now)

    def tell(self, key: str) -> None:
        event = self.event(key)
        self.events.append(event)
        self.apply(event)

    def lose(self, request: str, reason: Reason = Reason.NODE_LOST, message: str = "") -> None:
        """The request ends without another commit: the leader fences it first."""
        key = keys.commit(request, self.numbers[request])
        self.blobs[key] = commits.encode(request, self.numbers[request], void=reason)
        self.graph.garbage.append(key)
        self.end(request, reason, message)

    def end(self, request: str, reason: Reason, message: str = "") -> None:
        del self.open[request]
        self.apply(RequestEnded(request, reason, message, self.now))

    def pass_time(self) -> None:
        assert self.wake > self.now, "nothing runs and nothing will"
        self.now = self.wake
        self.apply(TimePassed(self.now))

    def run(self, fails: Callable[[Plan], Failure | None] = lambda plan: None) -> Finish:
        while self.finish is None:
            if self.open:
                self.commit(self.random.choice(list(self.open)), fails=fails)
            else:
                self.pass_time()
        return self.finish

    # The leader's death

    def checkpoint(self) -> None:
        """Fold, and remove what is not needed any more."""
        self.saved, self.saved_done = snapshot.encode(self.graph), len(self.log)
        self.collect()

    def collect(self) -> None:
        """Remove the garbage of requests that are over; each blob is garbage once, and nothing refers to it."""
        over = [key for key in self.graph.garbage if keys.commit_parts(key)[0] not in self.graph.requests]
        self.graph.garbage = [key for key in self.graph.garbage if key not in over]
        for key in over:
            assert key not in self.graph.held
            del self.blobs[key]

    def crash(self, corrupt: Iterable[str] = ()) -> None:
        """A new leader takes over with the checkpoint and the commits made since, but for those that cannot be read."""
        counted = list(self.done)
        saved = snapshot.decode(self.saved, "checkpoint")
        self.graph = Graph(saved.epoch, self.policy, self.sizing, chain=self.chain)
        snapshot.restore(self.graph, saved)
        self.log, self.done = self.log[: self.saved_done], dict.fromkeys(counted[: self.saved_done])
        later = sorted((*keys.request_order(request), number, key) for key in self.blobs if (request := keys.commit_parts(key)[0]) != "0"
                       for number in [keys.commit_parts(key)[1]])  # fmt: skip
        wanted = set(self.graph.requests)
        for epoch, sequence, _, key in later:
            if key not in corrupt and epoch == saved.epoch and (sequence > saved.sequence or keys.commit_parts(key)[0] in wanted):
                for command in self.graph.replay(self.event(key)):
                    if isinstance(command, Done):
                        self.take([command])
        if not corrupt:
            assert set(counted) <= set(self.done), "what counted must count after a restart"
        self.open.clear()
        self.events.clear()
        self.finish = None
        self.graph.take_over(saved.epoch + 1)
        self.checkpoint_and_drop()
        self.take(self.graph.resume())

    def checkpoint_and_drop(self) -> None:
        """As a new leader does: fold at once, and remove what nobody needs."""
        self.saved, self.saved_done = snapshot.encode(self.graph), len(self.log)
        self.graph.garbage.clear()
        for key in [key for key in self.blobs if key not in self.graph.held]:
            del self.blobs[key]


def state_of(graph: Graph) -> dict[str, object]:
    """All that a checkpoint must keep of a graph, in terms that two graphs can be compared by."""
    stages = {2: 1, 7: 1}  # a delayed or failed job is ready for a new leader
    return {
        "jobs": {job.id: _slots(job, stages) for job in graph.jobs.values()},
        "requests": {id: (request.next, sorted(request.jobs)) for id, request in graph.requests.items() if request.jobs},
        "held": graph.held,
        "root": graph.root.id if graph.root else None,
        "tallies": graph.tallies,
        "failures": graph.failures,
        "failed": sorted(graph.failed),
        "finished": graph.finished,
    }


def _slots(job: JobState, stages: dict[int, int]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in JobState.__slots__:
        value = getattr(job, name)
        if name in ("waiters", "value_waiters"):
            value = sorted(waiter.id for waiter in value or ())
        elif name == "stage":
            value = stages.get(value, int(value))
        elif isinstance(value, tuple):
            ids = [other if isinstance(other, str) else other.id for other in value]
            value = sorted(ids) if name == "above" else ids
        found[name] = value
    return found
