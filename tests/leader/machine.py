"""A batch system in this process that does with each request what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, Self

import msgspec

from tests.leader.world import INITIAL, Plan, World
from toil_core.batch_system import BatchSystem, Reason, Request, State, Update, Usage
from toil_core.job_store import JobStore
from toil_core.leader.checkpoints import Checkpoints, load_initial
from toil_core.leader.graph import Graph
from toil_core.leader.loop import Loop
from toil_core.leader.moves import Finish
from toil_core.leader.retries import Policy
from toil_core.leader.surroundings import REAL, Surroundings
from toil_core.leader.tell import Listener, Teller
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure
from toil_core.wire.work import Task, Work, decode_work

Behaviour = Callable[[Any, Work], None]


class Player(BatchSystem):
    """Plays a program of plans.

    Args:
        store: The job store; the program's own graph is put there.
        root: The program.
        behaviour: What becomes of each request, by the name of its first job; others are carried out.

    Attributes:
        works: Everything that was submitted.
        ran: The names of the jobs that ran, in order.
        cancelled: The requests that were cancelled.
    """

    def __init__(self, store: JobStore, root: Plan, behaviour: dict[str, list[Behaviour]] | None = None) -> None:
        self.store = store
        self.world = World(root)
        self.behaviour = behaviour or {}
        self.works: list[Work] = []
        self.ran: list[str] = []
        self.cancelled: list[str] = []
        self._news: list[Update] = []
        self._something = threading.Condition()
        self._closed = False

    def anew(self) -> Self:
        """The same for another leader: with news of its own, which a thread of the leader before it cannot take away."""
        player = copy(self)
        player._news, player._something, player._closed = [], threading.Condition(), False
        return player

    def name(self, task: Task) -> str:
        return self.world.nodes[task.job].plan.name

    # The contract

    def submit(self, requests: Sequence[Request]) -> None:
        for request in requests:
            work = decode_work(request.work)
            self.works.append(work)
            script = self.behaviour.get(self.name(work.tasks[0]))
            (script.pop(0) if script else carried)(self, work)

    def updates(self, seconds: float | None = None) -> list[Update]:
        with self._something:
            self._something.wait_for(lambda: self._news or self._closed, seconds)
            news, self._news = self._news, []
            return news

    def cancel(self, ids: Iterable[str]) -> None:
        known = {work.request for work in self.works}
        for id in known.intersection(ids):
            self.cancelled.append(id)
            self.put(Update(id, State.ENDED, Reason.CANCELLED))

    def close(self) -> None:
        with self._something:
            self._closed = True
            self._something.notify_all()

    # What a worker does

    def put(self, *updates: Update) -> None:
        with self._something:
            self._news.extend(updates)
            self._something.notify_all()

    def make(self, work: Work, number: int = 0, tasks: slice = slice(None), *, final: bool = True, failure: Failure | None = None) -> bytes:
        """The commit of some of the work's tasks."""
        results = []
        for task in work.tasks[tasks]:
            self.ran.append(self.name(task))
            result, payload = self.world.attempt(work.request, task, failure)
            results.append((msgspec.msgpack.encode(result), payload, Usage(wall=0.01)))
        return commits.encode(work.request, number, results, final=final)

    def keep(self, work: Work, data: bytes, number: int = 0) -> bool:
        return commits.create_once(self.store, keys.commit(work.request, number), data)


class Machine(Player):
    """A player with a loop of its own.

    Args:
        policy: How failures are treated.
        listeners: Who is told what happens.
        around: The world around the leader.
    """

    def __init__(
        self,
        store: JobStore,
        root: Plan,
        behaviour: dict[str, list[Behaviour]] | None = None,
        *,
        policy: Policy | None = None,
        listeners: Iterable[Listener] = (),
        around: Surroundings = REAL,
    ) -> None:
        super().__init__(store, root, behaviour)
        store.create(INITIAL, self.world.blobs[INITIAL])
        self.graph = Graph(1, policy or Policy(backoff=0.0), self.world.sizing)
        load_initial(store, self.graph)
        self.checkpoints = Checkpoints(store, 1)
        self.loop = Loop(self.graph, store, "memory:for-workers", keys.setup(1), self, self.checkpoints, Teller(listeners), around=around)

    def run(self) -> Finish:
        with self:
            return self.loop.run()


def carried(machine: Player, work: Work) -> None:
    """All goes well, and the update carries the commit."""
    data = machine.make(work)
    assert machine.keep(work, data)
    machine.put(Update(work.request, State.RUNNING, node="here"), Update(work.request, State.ENDED, commit=data, commits=1))


def failing(failure: Failure) -> Behaviour:
    """The job's attempt fails."""

    def behave(machine: Player, work: Work) -> None:
        data = machine.make(work, failure=failure)
        assert machine.keep(work, data)
        machine.put(Update(work.request, State.ENDED, commit=data, commits=1))

    return behave


def ended(reason: Reason | None, message: str = "", *, running: bool = True, commits: int | None = None) -> Behaviour:
    """The request ends without a commit."""

    def behave(machine: Player, work: Work) -> None:
        if running:
            machine.put(Update(work.request, State.RUNNING))
        machine.put(Update(work.request, State.ENDED, reason, message=message, commits=commits))

    return behave
