"""A simulated worker: it runs the tasks of one request, and makes their commits by the real protocol."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import msgspec

from toil_core.batch_system import Reason, Request, State, Update, Usage
from toil_core.errors import NoSuchKey, StoreError, Transient
from toil_core.testing.sim.broken import need
from toil_core.testing.sim.chance import Chance
from toil_core.testing.sim.clock import Clock, Killed
from toil_core.testing.sim.program import Plan, Program, Value, describe, digest
from toil_core.testing.sim.store import Blobs
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Result
from toil_core.wire.work import Task, decode_work
from toil_core.worker.running import Finished, Running, encode
from toil_core.worker.settle import blame, failed, fetch_all, sweep, words

GROUP_SECONDS = 0.05
TRIES = 8
TASK_FAULTS = ("error", "killed", "out of memory", "out of disk")
"""What can happen to one attempt."""
COMMIT_FAULTS = ("killed before commit", "killed after commit")
"""What can happen to a worker that commits."""
_REASONS = {"error": Reason.FAILED, "killed": Reason.KILLED, "out of memory": Reason.OUT_OF_MEMORY, "out of disk": Reason.OUT_OF_DISK}


class Scene(Protocol):
    """What workers know of their world."""

    clock: Clock
    chance: Chance
    blobs: Blobs
    program: Program

    def starting(self, request: str, task: Task, plan: Plan) -> None:
        """An attempt begins; an error when it must not."""

    def failures(self, request: str, plan: Plan) -> int:
        """How many attempts at the plan have begun in the request's epoch."""

    def succeeded(self, request: str, plan: Plan) -> None:
        """An attempt succeeded."""

    def troubled(self, request: str, jobs: list[str]) -> None:
        """The worker cannot go on, for no fault of the jobs that it had."""

    def twice(self, request: str) -> None:
        """The request is delivered twice."""

    def trace(self, line: str) -> None:
        """A line for the record."""

    def awaited(self, request: str) -> bool:
        """Whether the newest leader waits for the request."""


class Worker:
    """Runs one request.

    Args:
        scene: The world.
        request: The request.
        deliver: Takes updates.
        died: Called when it is dead without a word.
        name: What it is called.
    """

    def __init__(self, scene: Scene, request: Request, deliver: Callable[[Update], None], died: Callable[[], None], name: str) -> None:
        self._scene = scene
        self._deliver = deliver
        self._died = died
        self.name = name
        self._running = Running(0, decode_work(request.work), request.requirement, {}, f"{scene.chance.bytes(f'{name} files', 4).hex()}-")
        self.dead = False
        self.over = False
        self._store = scene.blobs.door(self)
        self.cut_until = 0.0
        """Until when it reaches nobody."""
        self._up = -1
        self._interrupted = False
        self._owed: list[str] = []
        """Jobs of the commit that is being made."""

    # The door's owner

    def before(self, site: str) -> None:
        if self.dead:
            raise Killed
        if self._scene.clock.now < self.cut_until:
            raise Transient(f"{self.name} reaches nobody")

    def after(self, site: str) -> None:
        if self.dead:
            raise Killed

    def slow(self, site: str) -> None:
        """Its operations are over at once."""

    # What is done to it

    def start(self) -> None:
        """Begin."""
        self._try(self._prepare)

    def cancel(self, reason: Reason = Reason.CANCELLED) -> None:
        """End before the tasks are done."""
        if not self.over:
            self._running.abandon(reason, "")
            self._end_attempts()
            self._proceed()

    def interrupt(self) -> None:
        """Ask a service to stop in good order."""
        self._interrupted = True
        if self._up >= 0:
            self._later("stopping", 0.2, lambda: self._service_over(None))
        elif not any(kind.service for kind in self._running.kinds):
            self.cancel()

    def _die(self, how: str) -> None:
        self._scene.trace(f"{self.name}: {how}")
        self.dead = True
        self._died()
        raise Killed

    # What it does

    def _later(self, what: str, seconds: float, action: Callable[[], None]) -> None:
        scene, site = self._scene, self._scene.chance.site(f"{self.name} {what}")

        def act() -> None:
            if not self.dead and not self.over:
                action()

        scene.clock.later(seconds * scene.chance.between(f"pace {site}", 0.8, 1.2), act)

    def _try(self, action: Callable[[], None], tries: int = 0) -> None:
        """Use the store; again, later, when it fails in a way that may pass."""
        try:
            action()
        except Killed:
            return
        except Transient as error:
            if tries < TRIES:
                self._later("waiting", min(10.0, 0.1 * 2**tries), lambda: self._try(action, tries + 1))
                return
            self._troubled(error)
        except StoreError as error:
            self._troubled(error)

    def _send(self, update: Update) -> None:
        """Deliver news, later when nobody can be reached just now."""
        left = self.cut_until - self._scene.clock.now
        if left > 0:
            self._scene.clock.later(left + 0.01, lambda: None if self.dead else self._send(update))
        else:
            self._deliver(update)

    def _troubled(self, error: Exception) -> None:
        if blame(error) is Reason.FAILED:
            finished = [msgspec.msgpack.decode(result, type=Result).job for result, _, _ in self._running.finished]
            self._scene.troubled(self._running.id, [*self._owed, *finished, *(task.job for task in self._running.tasks.values())])
        self._running.committing = False
        self._running.settling = 0
        self._running.abandon(blame(error), words(error))
        self._end_attempts()
        self._proceed()

    def _end_attempts(self) -> None:
        """End what runs; what it wrote goes with it."""
        running = self._running
        running.opened += [running.tasks[index].job for index in sorted(running.flying)]
        running.flying.clear()

    def _prepare(self) -> None:
        running = self._running
        refs = running.refs()
        if refs and not running.ending:
            for index, why in running.resolve(fetch_all(self._store, refs)):
                if index in running.ready:
                    running.ready.remove(index)
                failure = Failure(Reason.FAILED, why, retry=False)
                running.ended(index, failed(running.tasks[index].job, failure, self._scene.clock.now), ok=False)
        self._send(Update(running.id, State.RUNNING, node=self.name))
        self._dispatch()

    def _dispatch(self) -> None:
        running = self._running
        if running.flying or not running.ready or running.ending:
            self._proceed()
            return
        running.flying.update(running.ready)
        running.ready.clear()
        self._next()

    def _next(self) -> None:
        running = self._running
        if not running.flying:
            self._dispatch()
            return
        index = min(running.flying)
        task = running.tasks[index]
        plan = self._scene.program.by_name[msgspec.json.decode(task.body)]  # type: ignore[arg-type]
        needed, there = plan.kind.requirement.cores, running.requirement.cores
        need(needed <= there, f"{plan} needs {needed:g} cores, and {running.id} has {there:g} set aside")
        self._scene.starting(running.id, task, plan)
        self._later(f"running {plan.name}", plan.seconds / 2, lambda: self._try(lambda: self._write(index, task, plan)))

    def _write(self, index: int, task: Task, plan: Plan) -> None:
        if plan.writes and index in self._running.flying:
            commits.create_once(self._store, self._file(task.job), plan.name.encode())
        self._later(f"running on {plan.name}", plan.seconds / 2, lambda: self._try(lambda: self._run(index, task, plan)))

    def _run(self, index: int, task: Task, plan: Plan) -> None:
        running = self._running
        if index not in running.flying:
            return
        site = self._scene.chance.site(f"{self.name} attempt at {plan.name}")
        fault = self._scene.chance.fault(site, TASK_FAULTS)
        planned = self._scene.failures(running.id, plan) <= plan.fails
        if fault or planned:
            failure = Failure(_REASONS.get(fault, Reason.FAILED), fault or "planned")
            self._try(lambda: self._fail(index, task.job, failure))  # on its own: the body is not run again when the store fails here
            return
        result, payload = self._attempt(index, task, plan)
        finished = (encode(result), payload, Usage(plan.seconds, plan.seconds))
        if plan.service:
            self._up = index
            running.up(finished)
            if self._interrupted:
                self.interrupt()
            elif self._scene.chance.fault(f"{site} serving", ("service ends",)):
                self._later("serving", 5.0, lambda: self._service_over(Failure(Reason.FAILED, "the service ended")))
            self._proceed()
            return
        running.opened.append(task.job)
        self._scene.succeeded(running.id, plan)
        self._finish(index, finished, ok=True)

    def _service_over(self, failure: Failure | None) -> None:
        if self._up in self._running.flying:
            self._ended(self._up, self._running.tasks[self._up].job, failure)

    def _ended(self, index: int, job: str, failure: Failure | None) -> None:
        self._finish(index, (encode(Result(job, failure=failure)), b"", Usage()), ok=failure is None)

    def _finish(self, index: int, finished: Finished, *, ok: bool) -> None:
        running = self._running
        if not running.finished:
            running.since = self._scene.clock.now
        running.ended(index, finished, ok)
        self._next()
        self._proceed()

    def _fail(self, index: int, job: str, failure: Failure) -> None:
        """The attempt has failed: what it wrote goes."""
        sweep(self._store, self._running.files(job))
        self._ended(index, job, failure)

    def _attempt(self, index: int, task: Task, plan: Plan) -> tuple[Result, bytes]:
        """What the job's body does."""
        request = self._running.id
        given = {value.plan: value for _, part in task.values for value in [msgspec.json.decode(part, type=Value)]}  # type: ignore[arg-type]
        for each in plan.reads:
            try:
                self._store.stat(given[each.name].file)
            except NoSuchKey:
                if not self._scene.awaited(request):  # others have gone on without it
                    raise
                raise AssertionError(f"{plan} needs the file of {each}, which is gone: {given[each.name].file}") from None
        file = self._file(task.job) if plan.writes else ""
        jobs, kinds, payload, ids = describe(f"{request}.{index}", plan.added, {plan: task.job})
        value = msgspec.json.encode(Value(plan.name, digest(plan, {name: each.digest for name, each in given.items()}), file, "." * plan.size))
        result = Result(
            task.job, (len(payload), len(payload) + len(value)), zlib.crc32(value), tuple(ids[each] for each in plan.promises), kinds, jobs,
            tuple(ids[each] for each in plan.adds_children), tuple(ids[each] for each in plan.adds_follow_ons),
            tuple(given[each.name].file for each in plan.deletes), services=tuple(ids[each] for each in plan.adds_services),
            temporary=(file,) if plan.temporary else (),
        )  # fmt: skip
        return result, payload + value

    # Commits, as the real worker host makes them

    def _proceed(self) -> None:
        running = self._running
        if running.committing or self.over:
            return
        if running.over:
            if running.ending is None or (running.finished and running.ending[0] is Reason.NODE_LOST):
                self._commit(final=True)
            else:
                self._give_up(*running.ending)
        elif running.finished and not running.ending:
            left = running.since + GROUP_SECONDS - self._scene.clock.now
            if left <= 0:
                self._commit(final=False)
            elif not running.timed:
                running.timed = True
                self._later("grouping", left, self._due)

    def _due(self) -> None:
        self._running.timed = False
        self._proceed()

    def _commit(self, *, final: bool) -> None:
        running = self._running
        number, running.finished, finished = running.commits, [], running.finished
        opened, running.opened = running.opened, []
        chained = "" if final else running.chained
        mark = self._scene.chance.bytes(f"{self.name} mark {number}", 8)
        data = commits.encode(running.id, number, finished, final=final, chained=chained, mark=mark)
        running.committing = True
        self._owed = [msgspec.msgpack.decode(result, type=Result).job for result, _, _ in finished]

        fault = self._scene.chance.fault(f"{self.name} commits {number}", COMMIT_FAULTS)

        def create() -> None:
            if fault == "killed before commit":
                self._die(fault)
            if not commits.create_once(self._store, keys.commit(running.id, number), data):
                for job in opened:
                    sweep(self._store, running.files(job))
                running.committing = False
                self._running.flying.clear()
                running.abandon(Reason.CANCELLED, "the leader had given this request up")
            else:
                if fault:
                    self._die(fault)
                running.committing = False
                running.commits += 1
                self._owed = []
                self._tell(number, data, final=final)
            self._proceed()

        self._try(create)

    def _tell(self, number: int, data: bytes, *, final: bool) -> None:
        running = self._running
        self.over = self.over or final
        reason, message = running.ending if final and running.ending else (None, "")
        state = State.ENDED if final else State.COMMITTED
        self._send(Update(running.id, state, reason, None, message, self.name, None, data, number, number + 1 if final else None))

    def _give_up(self, reason: Reason, message: str) -> None:
        self.over = True
        running = self._running
        for job in running.opened:
            try:
                sweep(self._store, running.files(job))
            except (Transient, Killed):
                break
        self._send(Update(running.id, State.ENDED, reason, None, message, self.name, commits=running.commits))

    def _file(self, job: str) -> str:
        """The key of the file that an attempt writes."""
        return self._running.files(job) + "data"
