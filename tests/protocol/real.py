"""Leaders of flesh and blood that do what the protocol's model says, one operation of the job store at a time."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import msgspec

from tests.leader.world import INITIAL, Plan, World
from tests.protocol.model import COMMIT, DELETE, FINISHED, NONE, REFUSED, REPLACED, RUN, VOID, Action, Bounds, State
from toil_core.batch_system import BatchSystem, Reason, Request, Update, Usage
from toil_core.batch_system import State as News
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import LeaderReplaced, LeaderRunning
from toil_core.job_store import Blob, JobStore
from toil_core.leader.checkpoints import TOMBSTONE, Checkpoints, bury
from toil_core.leader.epoch import claim
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.loop import Loop
from toil_core.leader.retries import Policy
from toil_core.leader.run import _load
from toil_core.leader.tell import Teller
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.work import Task, decode_work

_names = (f"protocol-{number}" for number in itertools.count())
_COUNTED = (keys.COMMITS, keys.FILES)
_LARGE = 2000
"""Values of so many bytes are not held in memory, but lie in commits."""
_SECONDS = 60.0


class _Abandoned(BaseException):
    """Nobody asks for this leader any more."""


class _Door(JobStore):
    """The store as one leader sees it: where it is about to do what the model counts as a step, it waits until it may."""

    def __init__(self, store: JobStore, leader: RealLeader) -> None:
        self._store = store
        self._leader = leader
        self._listed = False

    def prepare(self) -> None:
        self._store.prepare()

    def destroy(self) -> None:
        self._store.destroy()

    def create(self, key: str, data: bytes) -> None:
        if key.startswith((keys.LEADERS, keys.CHECKPOINTS)):
            self._leader.wait(f"create {key.partition('/')[0]}")
        self._store.create(key, data)
        if key.startswith(keys.CHECKPOINTS) and data != TOMBSTONE and self._leader.loop is None:
            self._leader.wait("sweep")

    def write(self, key: str, stream: BinaryIO) -> None:
        self._store.write(key, stream)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        if self._listed and key.startswith(keys.COMMITS):
            self._listed = False
            self._leader.wait("read commits")
        return self._store.read(key, start, stop)

    def stat(self, key: str) -> Blob:
        return self._store.stat(key)

    def delete(self, keys: Iterable[str]) -> None:
        doomed = list(keys)
        if any(key.startswith(_COUNTED) and key != INITIAL for key in doomed):  # the model knows nothing of old checkpoints
            self._leader.wait("delete")
        self._store.delete(doomed)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        if prefix == keys.COMMITS:
            self._leader.wait("list commits")
            self._listed = True
        return iter(list(self._store.list(prefix)))


class _Batch(BatchSystem):
    """Hands requests to the stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def submit(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._stage.submitted(request)

    def updates(self, seconds: float | None = None) -> list[Update]:
        return []

    def cancel(self, ids: Iterable[str]) -> None:
        """Nothing heeds it: what runs may always be a zombie."""

    def close(self) -> None:
        pass


class _Loop(Loop):
    """The loop, with news from the stage."""

    def begin(self) -> None:
        self._carry_out(self._graph.resume())
        self._flush()

    def news(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self._update(update)
        self._flush()


class RealLeader:
    """A leader in a thread of its own; it works only while the stage waits for it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.graph: Graph | None = None
        self.checkpoints: Checkpoints | None = None
        self.loop: _Loop | None = None
        self.at = ""
        self._go: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._stopped: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="leader", daemon=True)
        self._thread.start()
        self._stopped.get(timeout=_SECONDS)

    def wait(self, what: str) -> object:
        """Tell that this is next, and wait for leave."""
        self.at = what
        self._stopped.put(None)
        order = self._go.get()
        if order is _Abandoned:
            raise _Abandoned
        return order

    def go(self, order: object = None) -> None:
        """Let it go on to where it waits next, or to its end."""
        self._go.put(order)
        error = self._stopped.get(timeout=_SECONDS)
        if error is not None:
            raise error

    def end(self) -> None:
        self._go.put(_Abandoned)
        self._thread.join(_SECONDS)

    def _live(self) -> None:
        try:
            self.wait("start")
            self._lead()
        except _Abandoned:
            return
        except LeaderRunning:
            self.at = "refused"
        except LeaderReplaced:
            self.at = "replaced"
        except BaseException as error:  # noqa: BLE001  it is raised again where the stage waits
            self._stopped.put(error)
            return
        self._stopped.put(None)

    def _lead(self) -> None:
        stage = self.stage
        door = _Door(stage.store, self)
        epoch = claim(door, "here", ended=0, take_over=True, alive=lambda info: None)
        if epoch > 1:
            bury(door, epoch)
        self.graph = Graph(epoch, Policy(), Sizing(), chain=False)
        self.checkpoints = Checkpoints(door, epoch)
        _load(door, self.graph, self.checkpoints, epoch, restart=epoch > 1, readers=1)
        self.loop = _Loop(self.graph, door, "here", keys.setup(epoch), _Batch(stage), self.checkpoints, Teller([]))
        self.loop.begin()
        while True:
            order = self.wait("orders")
            if isinstance(order, list):
                self.loop.news(order)
            else:
                self.checkpoints.write(self.graph, ended=order == "finish")


class Stage:
    """The real store and the real leaders, beside the model."""

    def __init__(self, bounds: Bounds) -> None:
        count = len(bounds.after)
        plans = [Plan(f"job {number}", size=_LARGE) for number in range(count)]
        for number, plan in enumerate(plans):
            plan.needs = [plans[need] for need in sorted(bounds.needs[number])]
        plans[0].children = [plan for number, plan in enumerate(plans) if bounds.after[number] == {0}]
        plans[0].follow_ons = [plan for number, plan in enumerate(plans) if len(bounds.after[number]) > 1]
        self.world = World(plans[0])
        self.ids = [next(id for id, node in self.world.nodes.items() if node.plan is plan) for plan in plans]
        self.store = MemoryJobStore(next(_names), Config())
        self.store.prepare()
        self.store.create(INITIAL, self.world.blobs[INITIAL])
        self.leaders: dict[object, RealLeader] = {}
        """By epoch."""
        self.started: dict[object, RealLeader] = {}
        """By number."""
        self.requests: dict[tuple[int, int], list[str]] = {}
        """Of each epoch and job."""
        self.tasks: dict[str, Task] = {}

    def submitted(self, request: Request) -> None:
        """A request goes out: a worker begins, and writes a file."""
        work = decode_work(request.work)
        (task,) = work.tasks
        epoch, _ = keys.request_order(request.id)
        self.requests.setdefault((epoch, self.ids.index(task.job)), []).append(request.id)
        self.tasks[request.id] = task
        self.store.create(keys.attempt_files(request.id, task.job) + "file", b"content")

    def act(self, action: Action) -> None:
        """Do what the model says."""
        name, *about = action
        match name:
            case "list leaders":
                leader = self.started[about[0]] = RealLeader(self)
                leader.go()
            case "claim":
                epoch, number = about
                self.started[number].go()
                if self.started[number].at != "refused":
                    self.leaders[epoch] = self.started[number]
            case "commit":
                self._commit(*about)  # type: ignore[arg-type]
            case "hear" | "lose":
                self._news(str(name), *about)  # type: ignore[arg-type]
            case _:
                self._step(str(name), about[0])

    def _commit(self, epoch: int, job: int, number: int) -> None:
        request = self.requests[epoch, job][number]
        result, payload = self.world.attempt(request, self.tasks[request])
        data = commits.encode(request, 0, [(msgspec.msgpack.encode(result), payload, Usage())])
        commits.create_once(self.store, keys.commit(request, 0), data)

    def _news(self, name: str, epoch: int, job: int, number: int) -> None:
        request = self.requests[epoch, job][number]
        leader = self.leaders[epoch]
        assert leader.at == "orders"
        if name == "lose":
            leader.go([Update(request, News.RUNNING, node="there"), Update(request, News.ENDED, Reason.NODE_LOST)])
            return
        with self.store.read(keys.commit(request, 0)) as stream:
            leader.go([Update(request, News.ENDED, commit=stream.read(), commits=1)])

    def _step(self, name: str, epoch: object) -> None:
        leader = self.leaders[epoch]
        match name:
            case "bury":
                assert leader.at == "create checkpoints"
                leader.go()
            case "read checkpoint":
                assert leader.at == "list commits"  # nobody writes checkpoints any more that it would read
            case "list commits":
                assert leader.at == "list commits"
                leader.go()
            case "read commits":
                if leader.at == "read commits":
                    leader.go()
                assert leader.at == "create checkpoints"
            case "checkpoint" | "finish":
                if leader.at == "orders":
                    leader.go(name)
                assert leader.at == "create checkpoints"
                leader.go()
            case "sweep":
                assert leader.at == "sweep"
                while leader.at in ("sweep", "delete"):
                    leader.go()
                assert leader.at == "orders"
            case "delete":
                assert leader.at == "delete"
                leader.go()
            case _:
                raise AssertionError(name)

    def compare(self, state: State) -> None:
        """What is stored, and what leaders think, is what the model says."""
        there = {blob.key for blob in self.store.list("")}
        assert len([key for key in there if key.startswith(keys.LEADERS)]) == state.claimed
        first = sorted((blob.key, blob.size) for blob in self.store.list(keys.checkpoint(1, 0).partition("-")[0]))
        assert state.buried == bool(first and first[-1][1] == len(TOMBSTONE))  # one before the last checkpoint came too late
        for job, facts in enumerate(state.jobs):
            for epoch in (1, 2):
                requests = self.requests.get((epoch, job), [])
                assert len(requests) == len(facts.attempts[epoch - 1]), (epoch, job)
                for request, attempt in zip(requests, facts.attempts[epoch - 1], strict=True):
                    assert self._blob(request) == attempt.blob, request
                    assert (keys.attempt_files(request, self.ids[job]) + "file" in there) == attempt.file, request
        for leader in state.leaders:
            self._compare_leader(state, leader.epoch, leader.at)

    def _blob(self, request: str) -> int:
        key = keys.commit(request, 0)
        if not any(True for _ in self.store.list(key)):
            return NONE
        commit, _ = commits.read(self.store, key)
        return COMMIT if commit.void is None else VOID

    def _compare_leader(self, state: State, epoch: int, at: int) -> None:
        leader = self.leaders.get(epoch)
        if at in (RUN, DELETE, FINISHED) and leader is not None and leader.graph is not None:
            assert leader.at == ("delete" if at == DELETE else "orders")
            for job, facts in enumerate(state.jobs):
                view = facts.views[epoch - 1]
                assert view is not None
                known = leader.graph.jobs.get(self.ids[job])
                assert (known is None or known.ran) == (view.done is not None), (epoch, job)
                issued = {each for request in leader.graph.requests.values() for each in request.jobs}
                assert (self.ids[job] in issued) == view.open
        if at == REPLACED:
            assert leader is not None and leader.at == "replaced"
        if at == REFUSED:
            assert any(each.at == "refused" for each in self.started.values())

    def close(self) -> None:
        for leader in self.started.values():
            leader.end()
        self.store.destroy()
