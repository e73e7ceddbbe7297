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

from tests.leader.recount import recount
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
    Dropped,
    Event,
    Failed,
    Finish,
    Interrupt,
    RequestEnded,
    Said,
    Submit,
    Sweep,
    TimePassed,
    Wake,
)
from toil_core.leader.retries import Policy
from toil_core.leader.services import Limits
from toil_core.leader.state import FACTS, JobState
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Kind, NewJob, Ref, Result
from toil_core.wire.work import Task

MOST_RECOUNTED = 40
"""Jobs of a graph in which all is counted again after each event."""
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
    services: list[Plan] = field(default_factory=list)
    adds_services: list[Plan] = field(default_factory=list)
    service: bool = False
    checkpoint: bool = False
    local: bool = False

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
    adder: str = ""
    above: list[str] = field(default_factory=list)
    services: tuple[str, ...] = ()


def below(tops: Iterable[Plan], *, dynamic: bool = True) -> list[Plan]:
    """The plans and all below them, each once."""
    found: dict[Plan, None] = {}
    stack = list(reversed(list(tops)))
    while stack:
        plan = stack.pop()
        if plan not in found:
            found[plan] = None
            added = [*plan.adds_children, *plan.adds_follow_ons, *plan.adds_services] if dynamic else []
            stack.extend(reversed([*plan.children, *plan.follow_ons, *plan.services, *added]))
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
        limits: Limits | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.policy, self.sizing, self.chain, self.carried = policy or Policy(), sizing or Sizing(slots=4), chain, carried
        self.limits = limits
        self.up: dict[str, str] = {}
        """The request of each service that is up, by its job."""
        self.asked: set[str] = set()
        """Requests of services that are to stop, and requests that are to end at once."""
        self.swept: list[str] = []
        self.nodes: dict[str, Node] = {}
        self.blobs: dict[str, bytes] = {}
        self.open: dict[str, list[Task]] = {}
        self.numbers: dict[str, int] = {}
        self.ran: dict[str, int] = {}
        """How many tasks ran in each request."""
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
        self.graph = Graph(1, self.policy, self.sizing, chain=chain, limits=limits)
        jobs, kinds, payload, ids = self.new_jobs("0", [root])
        result = Result("0", kinds=kinds, jobs=jobs, children=(ids[root],))
        data = commits.encode("0", 0, [(msgspec.msgpack.encode(result), payload, Usage())])
        self.blobs[INITIAL] = data
        commit, start = commits.whole(data, INITIAL)
        self.graph.load(commit, INITIAL, start, data[start:] if carried else None)
        self.saved, self.saved_done = snapshot.encode(self.graph), dict(self.done)
        self.take(self.graph.resume())

    # What happens

    def apply(self, event: Event) -> None:
        self.take(self.graph.apply(event))
        self.check_counts()

    def check_counts(self) -> None:
        """All that the graph counts is what there is; of large graphs it is not counted again."""
        if len(self.graph.jobs) <= MOST_RECOUNTED:
            recount(self.graph)

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Submit():
                    self.submitted(command)
                case Done():
                    if not self.nodes[command.job].plan.service:
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
                    assert command.keys, "nothing is told of who deletes nothing"
                    self.deleted.extend(command.keys)
                case Cancel():
                    self.cancelled.extend(command.requests)
                    self.asked.update(command.requests)
                case Interrupt():
                    self.check_interrupt(command)
                    self.asked.update(command.requests)
                case Dropped():
                    self.drop(command.job)
                case Sweep():
                    self.swept.extend(command.prefixes)
                case _:
                    pass

    def submitted(self, submit: Submit) -> None:
        assert submit.request not in self.numbers, "a request's id must be new"
        assert len({task.job for task in submit.tasks}) == len(submit.tasks)
        for task in submit.tasks:
            assert task.job not in self.done, "what committed must not run again"
            assert self.nodes[task.job].plan not in self.log
            self.check(task)
            self.check_services(task.job)
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

    def check_services(self, id: str) -> None:
        """All services of those above the job are up; of a service, those that it starts after."""
        node = self.nodes[id]
        if node.plan.service:
            assert not self.nodes[node.above[0]].plan.service or node.above[0] in self.up
            return
        seen, stack = set(), list(node.above)
        while stack:
            upper = stack.pop()
            if upper not in seen:
                seen.add(upper)
                services = list(self.nodes[upper].services)
                for service in services:
                    assert service in self.up and self.up[service] not in self.asked, f"{id} runs without {service}"
                    services.extend(self.nodes[service].services)
                stack.extend(self.nodes[upper].above)

    def check_interrupt(self, command: Interrupt) -> None:
        """Only services are asked to stop, each after those that started after it."""
        for request in command.requests:
            (task,) = self.open[request]
            node = self.nodes[task.job]
            assert node.plan.service and request not in self.asked
            assert not any(service in self.up for service in node.services)

    def drop(self, job: str) -> None:
        """All that the job added, and what that added, and the job's own run, count no more."""
        gone = {job}
        for id, node in self.nodes.items():  # what adds comes before what is added
            if node.adder in gone:
                gone.add(id)
        self.done = {id: None for id in self.done if id not in gone}
        self.log = [self.nodes[id].plan for id in self.done]

    def read(self, held: bytes | Ref) -> bytes:
        if isinstance(held, Ref):
            return commits.check(self.blobs[held.key][held.start : held.stop], held)
        return held

    # Workers

    def new_jobs(self, prefix: str, tops: Sequence[Plan], adder: str = "") -> tuple[tuple[NewJob, ...], tuple[Kind, ...], bytes, dict[Plan, str]]:
        """Describe the static graph under the tops, with new ids."""
        plans = below(tops, dynamic=False)
        ids = {plan: f"{prefix}.{number}" for number, plan in enumerate(plans)}
        kinds: dict[Kind, int] = {}
        jobs, payload = [], b""
        for plan, id in ids.items():
            body = f"body of {id} ".encode() + b"." * plan.size
            services = tuple(ids[p] for p in plan.services)
            node = self.nodes[id] = Node(plan, tuple(ids.get(need, adder) for need in plan.needs), body, adder=adder, services=services)
            kind = kinds.setdefault(Kind(plan.name, plan.requirement, True, plan.tries, plan.service, plan.checkpoint, plan.local), len(kinds))
            span = (len(payload), len(payload) + len(body))
            payload += body
            children, follow_ons = (tuple(ids[p] for p in plans) for plans in (plan.children, plan.follow_ons))
            jobs.append(NewJob(id, kind, span, zlib.crc32(body), node.needs, children, follow_ons, services))
        for new in jobs:
            for id in (*new.children, *new.follow_ons, *new.services):
                self.nodes[id].above.append(new.id)
        return tuple(jobs), tuple(kinds), payload, ids

    def attempt(self, request: str, task: Task, failure: Failure | None = None) -> tuple[Result, bytes]:
        """Run the next task of a request; what it adds is named as a worker does."""
        index = self.ran.get(request, 0)
        self.ran[request] = index + 1
        if failure is not None:
            return Result(task.job, failure=failure), b""
        plan = self.nodes[task.job].plan
        self.runs[plan] = self.runs.get(plan, 0) + 1
        tops = [*plan.adds_children, *plan.adds_follow_ons, *plan.adds_services]
        jobs, kinds, payload, ids = self.new_jobs(f"{request}.{index}", tops, task.job)
        node = self.nodes[task.job]
        added = tuple(ids[p] for p in plan.adds_services)
        node.services = (*(id for id in node.services if self.nodes[id].adder != task.job), *added)
        for top in tops:
            self.nodes[ids[top]].above.append(task.job)
        node.promises = tuple(ids[p] for p in plan.promises)
        node.value = f"value of {task.job} ".encode() + b"." * plan.size
        span = (len(payload), len(payload) + len(node.value))
        result = Result(
            task.job, span, zlib.crc32(node.value), node.promises, kinds, jobs,
            tuple(ids[p] for p in plan.adds_children), tuple(ids[p] for p in plan.adds_follow_ons), plan.deletes, plan.says, services=added,
            temporary=plan.temporary,
        )  # fmt: skip
        return result, payload + node.value

    def serve(self, request: str, *, applied: bool = True) -> str:
        """The request's service commits that it is up."""
        (task,) = self.open[request]
        node = self.nodes[task.job]
        self.runs[node.plan] = self.runs.get(node.plan, 0) + 1
        node.value = f"value {self.runs[node.plan]} of {task.job} ".encode() + b"." * node.plan.size
        result = Result(task.job, (0, len(node.value)), zlib.crc32(node.value))
        self.up[task.job] = request
        return self._service_commit(request, result, node.value, final=False, applied=applied)

    def end_service(self, request: str, failure: Failure | None = None, *, applied: bool = True) -> str:
        """The request's service commits its end."""
        (task,) = self.open.pop(request)
        self.up.pop(task.job, None)
        self.asked.discard(request)
        return self._service_commit(request, Result(task.job, failure=failure), b"", final=True, applied=applied)

    def _service_commit(self, request: str, result: Result, payload: bytes, *, final: bool, applied: bool) -> str:
        number = self.numbers[request]
        key = keys.commit(request, number)
        self.blobs[key] = commits.encode(request, number, [(msgspec.msgpack.encode(result), payload, Usage(wall=0.001))], final=final)
        self.numbers[request] += 1
        if applied:
            self.tell(key)
        return key

    def is_service(self, request: str) -> bool:
        return self.nodes[self.open[request][0].job].plan.service if self.open[request] else False

    def is_up(self, request: str) -> bool:
        return request in self.up.values()

    @property
    def busy(self) -> list[str]:
        """Open requests of which something will come by itself."""
        return [id for id in self.open if not (self.is_service(id) and self.is_up(id) and id not in self.asked)]

    def move(self, request: str, fails: Callable[[Plan], Failure | None]) -> None:
        """What comes of the request, when nothing goes wrong but what is to fail."""
        if not self.is_service(request):
            if request in self.asked:
                self.end(request, Reason.CANCELLED)
            else:
                self.commit(request, fails=fails)
        elif request in self.asked:
            self.end_service(request)
        elif failure := fails(self.nodes[self.open[request][0].job].plan):
            self.end_service(request, failure)
        else:
            self.serve(request)

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
            result, payload = self.attempt(request, task, fails(self.nodes[task.job].plan))
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
        for task in self.open.pop(request):
            self.up.pop(task.job, None)
        self.asked.discard(request)
        self.apply(RequestEnded(request, reason, message, self.now))

    def pass_time(self) -> None:
        assert self.wake > self.now, "nothing runs and nothing will"
        self.now = self.wake
        self.apply(TimePassed(self.now))

    def run(self, fails: Callable[[Plan], Failure | None] = lambda plan: None) -> Finish:
        while self.finish is None:
            if self.busy:
                self.move(self.random.choice(self.busy), fails)
            else:
                self.pass_time()
        return self.finish

    # The leader's death

    def checkpoint(self) -> None:
        """Fold, and remove what is not needed any more."""
        self.saved, self.saved_done = snapshot.encode(self.graph), dict(self.done)
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
        self.graph = Graph(saved.epoch, self.policy, self.sizing, chain=self.chain, limits=self.limits)
        snapshot.restore(self.graph, saved)
        self.done = dict(self.saved_done)
        self.log = [self.nodes[id].plan for id in self.done]
        self.up.clear()
        self.asked.clear()
        later = sorted((*keys.request_order(request), number, key) for key in self.blobs if (request := keys.commit_parts(key)[0]) != "0"
                       for number in [keys.commit_parts(key)[1]])  # fmt: skip
        wanted = set(self.graph.requests)
        for epoch, sequence, _, key in later:
            if key not in corrupt and epoch == saved.epoch and (sequence > saved.sequence or keys.commit_parts(key)[0] in wanted):
                for command in self.graph.replay(self.event(key)):
                    if isinstance(command, Done | Delete | Dropped):
                        self.take([command])
        if not corrupt:
            assert set(counted) <= set(self.done), "what counted must count after a restart"
        self.open.clear()
        self.events.clear()
        self.finish = None
        self.graph.take_over(saved.epoch + 1)
        self.checkpoint_and_drop()
        self.take(self.graph.resume())
        self.check_counts()

    def checkpoint_and_drop(self) -> None:
        """As a new leader does: fold at once, and remove what nobody needs."""
        self.saved, self.saved_done = snapshot.encode(self.graph), dict(self.done)
        self.graph.garbage.clear()
        for key in [key for key in self.blobs if key not in self.graph.held]:
            del self.blobs[key]


def state_of(graph: Graph) -> dict[str, object]:
    """All that a checkpoint must keep of a graph, in terms that two graphs can be compared by."""
    stages = {2: 1, 7: 1}  # a delayed or failed job is ready for a new leader
    return {
        "jobs": {job.id: _slots(job, stages) for job in graph.jobs.values()},
        "requests": {id: (request.next, sorted(request.untold)) for id, request in graph.requests.items() if request.jobs},
        "held": graph.held,
        "root": graph.root.id if graph.root else None,
        "tallies": graph.tallies,
        "failures": graph.failures,
        "failed": sorted(graph.failed),
        "finished": graph.finished,
        "services": {id: (s.crew.owner.id, s.parent.job.id if s.parent else "", s.known) for id, s in graph.services.members.items()},
        "serving": {id: crew.hold for id, crew in graph.services.crews.items() if crew.active},
        "scopes": {id: (list(s.members), s.files, s.deleted, s.added, s.ran) for id, s in graph.redo.scopes.items()},
    }


def _slots(job: JobState, stages: dict[int, int]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in FACTS:
        value = getattr(job, name)
        if name in ("waiters", "value_waiters"):
            value = sorted(waiter.id for waiter in value or ())
        elif name == "stage":
            value = 0 if job.kind.service else stages.get(value, int(value))  # a new leader starts all services anew
        elif isinstance(value, tuple):
            ids = [other if isinstance(other, str) else other.id for other in value]
            value = sorted(ids) if name == "above" else ids
        found[name] = value
    return found
