"""What a forked process does: one attempt, or those of a batch that shares it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from toil_core.batch_system import Usage
from toil_core.job_store import JobStore
from toil_core.wire.jobs import Kind, Result
from toil_core.wire.work import Task
from toil_core.worker import messages
from toil_core.worker.messages import TOLD, Batch, Item, Open, Results, Said, Spec, encode
from toil_core.worker.notes import Notes
from toil_core.worker.runner import Place, Runner
from toil_core.worker.slots import SlotFolder

GROUP_SECONDS = 0.01
"""How long results of attempts that share a process are held back, to send them together."""
GROUP_BYTES = 48 * 1024


class Child:
    """What a slot's forked processes have in common, and do. It is made once, before any of them.

    Each object that a forked process touches costs it the copy of a page, so it is given what the slot can make for it,
    and on its usual way it calls few functions.

    Args:
        opened: What to run in it.
        runner: Runs one task.
        host: The way to the host: a file descriptor.
        slot: Where it runs.
        notes: What the fork server is to know of it.
        told: An empty file for the item of a task that has its process for itself, if it is small.
    """

    def __init__(
        self,
        opened: Open,
        runner: Runner,
        host: int,
        slot: SlotFolder,
        notes: Notes,
        told: int,
    ) -> None:
        self._opened = opened
        self._runner = runner
        self._host = host
        self._slot = slot
        self._notes = notes
        self._told = told
        self._store: JobStore | None = None
        self._spilled = 0

    def isolated(self, batch: Batch, spec: Spec, place: Place, leave: Callable[[int], object] = os._exit) -> None:
        """Run one task, send what came of it, and leave; the exit code is 0 when it succeeded.

        Args:
            batch: The task's batch.
            spec: The task.
            place: Where it runs; see `place`.
            leave: Ends the process.
        """
        code = 1
        try:
            os.setpgid(0, 0)
            if batch.environment:
                os.environ.update(batch.environment)
            task = spec.task
            try:
                values: dict[str, bytes] = dict(task.values) if task.values else {}  # type: ignore[arg-type]
                result, payload = self._runner(task, batch.kinds[spec.kind], values, place)
            except BaseException as error:  # noqa: BLE001 - whatever the user's code raised must not leave this process
                result, payload = _failed(task, error)
            _flush()
            ok = result.failure is None
            item = Item(spec.index, ok, encode(result), payload)
            told = encode(item)
            if len(told) <= TOLD:
                os.pwrite(self._told, told, 0)
            else:
                self._send(batch.work, (item,))
            code = 0 if ok else 1
        except BaseException:  # noqa: BLE001 - nothing may leave this process
            _print_trace()
        finally:
            leave(code)

    def shared(self, batch: Batch, keep_logs: bool) -> NoReturn:
        """Run the batch's tasks one after another and leave; the exit code is 0 when all of them were told of."""
        code = 1
        try:
            os.setpgid(0, 0)
            os.environ.update(batch.environment)
            self._run_all(batch, keep_logs)
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may leave this process
            _print_trace()
        finally:
            os._exit(code)

    def open_store(self) -> JobStore:
        """The job store, opened when it is first asked for."""
        if self._store is None:
            from toil_core.worker.stores import open_for

            self._notes.store()
            self._store = open_for(self._opened.store, self._opened.setup)
        return self._store

    def _run_all(self, batch: Batch, keep_logs: bool) -> None:
        done: list[Item] = []
        values: dict[int, tuple[str, bytes]] = {}
        held, since = 0, time.perf_counter()
        place = self.place(batch)
        for spec in batch.specs:
            task = spec.task
            if task.after >= 0 and task.after not in values:
                continue
            self._notes.task(spec.index)
            started, wall, cpu = time.time(), time.perf_counter(), time.process_time()
            known: dict[str, bytes] = dict(task.values)  # type: ignore[arg-type]
            if task.after >= 0:
                known.update([values[task.after]])
            place.index = spec.index
            result, payload = self._attempt(task, batch.kinds[spec.kind], known, place)
            _flush()
            is_told = self._notes.deferred and self._run_deferred()
            usage = Usage(time.perf_counter() - wall, time.process_time() - cpu, started=started)
            self._clean()
            ok = result.failure is None
            if ok:
                values[spec.index] = (task.job, payload[slice(*result.value)])
            log = self._slot.cut_log(keep_logs or is_told or not ok)
            done.append(Item(spec.index, ok, encode(result), payload, usage, log))
            held += len(payload) + len(log)
            now = time.perf_counter()
            if now - since > GROUP_SECONDS or held > GROUP_BYTES:
                self._send(batch.work, done)
                done, held, since = [], 0, now
        self._send(batch.work, done)
        self._notes.task(-1)

    def place(self, batch: Batch) -> Place:
        """Where the batch's tasks run; its index is to be set for each."""
        opened = self._opened
        say = partial(self._say, batch.work) if opened.live else None
        up = partial(self._up, batch.work)
        return Place(batch.request, self._slot.path, self.open_store, opened.setup, 0, opened.cache, say, self._defer, up, batch.mark)

    def _up(self, work: int, result: Result, payload: bytes) -> None:
        """Tell that a service is up."""
        _flush()
        self._send(work, (Item(self._notes.index, True, encode(result), payload, up=True),))

    def _say(self, work: int, level: int, text: str) -> None:
        """Tell the user something at once."""
        os.write(self._host, messages.pack(encode(Said(work, self._notes.index, level, text)), self._spill("said")))

    def _defer(self, name: str, call: bytes) -> None:
        from toil_core.worker import deferred

        deferred.append(self._slot.deferred, self._opened.setup, name, call)
        self._notes.defer()

    def _run_deferred(self) -> bool:
        """Run what a task left to do, where the tasks that follow share its process; whether its log tells of something that went wrong."""
        from toil_core.worker import deferred

        wrong = deferred.run_all(self._slot.deferred, deferred.seconds_of(self._opened.setup), lambda: os.setpgid(0, 0))
        for trouble in wrong:
            print(trouble, file=sys.stderr, flush=True)
        self._notes.defer(some=False)
        return bool(wrong)

    def _attempt(self, task: Task, kind: Kind, values: dict[str, bytes], place: Place) -> tuple[Result, bytes]:
        try:
            return self._runner(task, kind, values, place)
        except BaseException as error:  # noqa: BLE001 - whatever the user's code raised must not leave this process
            return _failed(task, error)

    def _clean(self) -> None:
        os.chdir(self._slot.tmp)
        if os.listdir("."):
            from toil_core.worker.folders import empty

            empty(self._slot.tmp)

    def _send(self, work: int, items: Sequence[Item]) -> None:
        if items:
            os.write(self._host, messages.pack(encode(Results(work, tuple(items))), self._spill("results")))

    def _spill(self, what: str) -> str:
        """A file that is not there yet, for a message that is too large."""
        self._spilled += 1
        return f"{self._slot.folder}/{what}-{os.getpid()}-{self._spilled}"


def _failed(task: Task, error: BaseException) -> tuple[Result, bytes]:
    """The result of a task whose runner raised; the traceback goes to the log."""
    from toil_core.worker.failure import failure_of

    result = Result(task.job, failure=failure_of(error))
    _flush()
    return result, b""


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):  # closed or replaced by the user's code
        pass
    try:
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def _print_trace() -> None:
    import traceback

    traceback.print_exc()
    _flush()
