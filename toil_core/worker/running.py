"""One request in a worker host: which tasks are left, and the results that wait for a commit. No I/O."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Mapping

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.sizes import rounded_size
from toil_core.wire import keys
from toil_core.wire.jobs import Failure, Kind, NewJob, Ref, Result
from toil_core.wire.work import Task, Work
from toil_core.worker.messages import Batch, Ended, Spec

encode = msgspec.msgpack.Encoder().encode
decode_result = msgspec.msgpack.Decoder(Result).decode

Finished = tuple[bytes, bytes, Usage]
"""Encoded result, payload and usage of one attempt."""


class Running:
    """A request that was started and has not ended.

    Args:
        number: The host's number for it.
        work: What to run.
        requirement: What the request was promised.
        environment: Variables to add.
        mark: Tells this execution of the request from any other; random if not given.
    """

    def __init__(self, number: int, work: Work, requirement: Requirement, environment: Mapping[str, str], mark: str = "") -> None:
        self.number = number
        self.mark = mark or os.urandom(4).hex()
        self.work = work
        self.requirement = requirement
        self.environment = dict(environment)
        self.kinds = list(work.kinds)
        self.tasks: dict[int, Task] = dict(enumerate(work.tasks))
        """Tasks of which nothing is known yet."""
        self._names = [(task.job, work.kinds[task.kind].name) for task in work.tasks]
        self.ready: deque[int] = deque()
        self.after: dict[int, list[int]] = {}
        self.flying: set[int] = set()
        """Tasks that the fork server has."""
        self.slot = -1
        self.told = False
        self.settling = 0
        """Attempts whose log or folder is being looked at."""
        self.finished: list[Finished] = []
        """Results that wait for a commit."""
        self.since = 0.0
        """When the first of them came."""
        self.timed = False
        """Whether a timer is set for their commit."""
        self.opened: list[str] = []
        """Jobs with uncommitted results that may have written files."""
        self.chains = work.chain
        """Whether a job's only successor may run here too."""
        self.chained = ""
        self.commits = 0
        self.committing = False
        self.ending: tuple[Reason, str] | None = None
        """Why the request ends before its tasks are done."""
        for index, task in self.tasks.items():
            if task.after >= 0 and self.isolated:
                self.after.setdefault(task.after, []).append(index)
            else:
                self.ready.append(index)

    @property
    def id(self) -> str:
        """The request's id."""
        return self.work.request

    @property
    def execution(self) -> str:
        """What its logs go by."""
        return keys.execution(self.id, self.mark)

    @property
    def isolated(self) -> bool:
        """Whether each task gets a process of its own."""
        return self.work.kinds[0].isolated

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        if self.flying or self.settling:
            return False
        return self.ending is not None or not self.ready

    def files(self, job: str) -> str:
        """The prefix of all files that the job writes here."""
        return keys.execution_files(self.id, job, self.mark)

    def refs(self) -> list[Ref]:
        """What must be read from the job store before the tasks can run."""
        found = []
        for task in self.work.tasks:
            found += [part for part in (task.body, *(value for _, value in task.values)) if isinstance(part, Ref)]
        return found

    def resolve(self, blobs: Mapping[Ref, bytes | str]) -> list[tuple[int, str]]:
        """Put bytes in place of references.

        Args:
            blobs: For each reference its bytes, or why they cannot be had.

        Returns:
            The tasks that cannot run, and why.
        """
        bad = []
        for index, task in list(self.tasks.items()):
            parts = [blobs[part] if isinstance(part, Ref) else part for part in (task.body, *(value for _, value in task.values))]
            wrong = [part for part in parts if isinstance(part, str)]
            if wrong:
                bad.append((index, wrong[0]))
                continue
            body, *values = (part for part in parts if isinstance(part, bytes))
            named = tuple(zip((name for name, _ in task.values), values, strict=True))
            self.tasks[index] = Task(task.job, task.kind, body, named, task.attempt, task.after)
        return bad

    def batch(self) -> Batch:
        """What can run now, as the fork server wants it; it has it from now on."""
        indexes = list(self.ready)
        self.ready.clear()
        self.flying.update(indexes)
        specs = tuple(Spec(index, self.tasks[index].kind, self.tasks[index]) for index in indexes)
        cores = self.requirement.cores
        return Batch(self.number, self.slot, self.id, self.isolated, cores, self.environment, tuple(self.kinds), specs, self.mark)

    def ended(self, index: int, finished: Finished, ok: bool) -> None:
        """Take in what came of a task."""
        task = self.tasks.pop(index)
        self.flying.discard(index)
        self.finished.append(finished)
        if self.chained == task.job:
            self.chained = ""
        waiting = self.after.pop(index, [])
        if not ok:
            for below in waiting:
                self._forget(below)
            return
        if waiting or self.chains:
            result, payload = decode_result(finished[0]), finished[1]
            value = payload[slice(*result.value)]
            for below in waiting:
                self._give(below, task.job, value)
            if self.chains and not self.tasks and not self.ending:
                self._chain(index, task, result, value, payload)

    def said(self, index: int) -> tuple[str, str]:
        """Id and name of a task's job, also of one that has ended."""
        return self._names[index]

    def up(self, finished: Finished) -> None:
        """Take in that a service is up; it waits for no others to share its commit."""
        self.finished.append(finished)
        self.since = 0.0

    def drop(self, index: int) -> None:
        """Forget a task that was skipped because the one before it failed."""
        self.flying.discard(index)
        self._forget(index)

    def abandon(self, reason: Reason, message: str) -> None:
        """End before the tasks are done."""
        if self.ending is None:
            self.ending = (reason, message)
        self.ready.clear()

    def _forget(self, index: int) -> None:
        self.tasks.pop(index, None)
        for below in self.after.pop(index, []):
            self._forget(below)

    def _give(self, index: int, job: str, value: bytes) -> None:
        task = self.tasks[index]
        self.tasks[index] = Task(task.job, task.kind, task.body, (*task.values, (job, value)), task.attempt, task.after)
        self.ready.append(index)

    def _chain(self, index: int, task: Task, result: Result, value: bytes, payload: bytes) -> None:
        if len(result.jobs) != 1 or {*result.children, *result.follow_ons} != {result.jobs[0].id}:
            return
        new = result.jobs[0]
        kind = result.kinds[new.kind]
        if new.services or result.services or kind.checkpoint or kind.local != self.kinds[0].local:
            return
        known = {name: part for name, part in (*task.values, (task.job, value)) if isinstance(part, bytes)}
        if not fits(kind, self.requirement) or kind.isolated != self.isolated or not _at_hand(new, task.job, result, known):
            return
        self.kinds.append(kind)
        values = tuple(known.items()) if new.needs else ()
        self._names[index + 1 :] = [(new.id, kind.name)]
        self.tasks[index + 1] = Task(new.id, len(self.kinds) - 1, payload[slice(*new.body)], values)
        self.ready.append(index + 1)
        self.chained = new.id


def fits(kind: Kind, given: Requirement) -> bool:
    """Whether a job of the kind can run in what a request was promised."""
    needed = kind.requirement
    return (
        needed.cores <= given.cores
        and needed.memory <= given.memory
        and needed.disk <= given.disk
        and needed.accelerators == given.accelerators
        and (needed.preemptible or not given.preemptible)
    )


def failure_of(ended: Ended, kind: Kind) -> Failure:
    """Why an attempt that told no result has failed."""
    code = -(ended.status & 0x7F) if ended.status & 0x7F else ended.status >> 8
    needed = kind.requirement
    if ended.verdict is Reason.OUT_OF_MEMORY:
        message = f"used {rounded_size(ended.memory)} of memory; it had asked for {rounded_size(needed.memory)}"
        return Failure(Reason.OUT_OF_MEMORY, message, code)
    if ended.verdict is Reason.OVER_TIME:
        return Failure(Reason.OVER_TIME, f"did not end in its {needed.wall_time:g} s", code)
    if code < 0:
        return Failure(Reason.KILLED, f"ended by {signal_name(-code)}", code)
    return Failure(Reason.FAILED, f"ended by exit code {code} before it was done", code)


def usage_of(ended: Ended, disk: int = 0) -> Usage:
    """What an attempt with a process of its own used."""
    return Usage(ended.wall, ended.cpu, ended.memory, max(disk, ended.disk), ended.read, ended.written, ended.started)


def signal_name(number: int) -> str:
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _at_hand(new: NewJob, parent: str, result: Result, known: Mapping[str, bytes]) -> bool:
    if not all(need in known for need in new.needs):
        return False
    return parent not in new.needs or all(need in known for need in result.value_needs)
