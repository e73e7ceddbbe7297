"""The workflow's state machine: events in, commands out. No clock, no I/O, no thread.

A job's body may run once all its predecessors' bodies ran, all below the children of those
it follows on is done, and the values that its arguments promise are there. A job is done
when its body ran and all its children and then all its follow-ons are done. What is done
and whose value nobody will ask for is forgotten, so memory follows the jobs in flight.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from toil_core.batch_system import Reason, Usage
from toil_core.leader.history import Past
from toil_core.leader.issue import Issuer, Sizing, batch_requirement
from toil_core.leader.moves import (
    Added,
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
    StopAsked,
    Submit,
    TimePassed,
    Wake,
)
from toil_core.leader.retries import Policy, judge
from toil_core.leader.state import CHILDREN, DELAYED, DONE, FAILED, FOLLOWING, ISSUED, READY, WAITING, JobState, Tally, closure
from toil_core.wire.commits import Commit, Entry, ref
from toil_core.wire.jobs import Failure, Kind, NewJob, Ref, Result, Span
from toil_core.wire.work import Task

INLINE = 1024
"""Bodies and values up to this many bytes are kept in memory when they come with a commit."""


class OpenRequest:
    """A request that has not ended.

    Attributes:
        kind: The kind it was issued for.
        jobs: Its jobs that no commit has told of yet.
        next: The number of its next commit.
        node: Where it runs; empty until it does.
        started: When it began to run, in seconds since 1970; 0 until it does.
    """

    __slots__ = ("jobs", "kind", "next", "node", "started")

    def __init__(self, kind: Kind, jobs: Iterable[JobState], next: int = 0) -> None:
        self.kind = kind
        self.jobs = {job.id: job for job in jobs}
        self.next = next
        self.node, self.started = "", 0.0


class Graph:
    """One workflow's jobs, edges and states.

    Args:
        epoch: The leader's epoch.
        policy: How failures are treated.
        sizing: What is known of the batch system.
        chain: Whether workers may go on with a job's only successor.
    """

    def __init__(self, epoch: int, policy: Policy, sizing: Sizing, *, chain: bool = True) -> None:
        self.issuer = Issuer(epoch, sizing)
        self.policy = policy
        self.chain = chain
        self.jobs: dict[str, JobState] = {}
        self.kinds: dict[Kind, Kind] = {}
        self._kinds_kept = 1000
        self.requests: dict[str, OpenRequest] = {}
        self.root: JobState | None = None
        self.tallies: dict[str, Tally] = {}
        self.failed: dict[str, JobState] = {}
        self.failures: dict[str, Failure] = {}
        self.held: dict[str, int] = {}
        self.garbage: list[str] = []
        self.past = Past()
        self.stopping = False
        self.finished = False
        self.delayed: list[tuple[float, str, JobState]] = []
        self._commands: list[Command] = []

    def apply(self, event: Event) -> list[Command]:
        """Take in what happened; what is to be done about it, in order."""
        self._commands = []
        match event:
            case Committed():
                self._committed(event)
            case RequestEnded():
                self._request_ended(event)
            case TimePassed():
                self._time_passed(event.now)
            case StopAsked():
                self._stop()
        self._issue()
        self._check_end()
        return self._commands

    def load(self, commit: Commit, key: str, start: int, payload: bytes | None) -> list[Command]:
        """Take in the user's own graph: the commit of request `0`."""
        self._commands = []
        (entry,) = commit.entries
        result = entry.result
        self.held[key] = 1
        self._add(result, key, start + entry.base, payload, entry.base)
        self.root = self.jobs[result.children[0]]
        self.root.holders += 1
        self._release(self.root)
        self._let_go(key)
        return self._commands

    def resume(self) -> list[Command]:
        """What to do first, before any event."""
        self._commands = []
        self._issue()
        self._check_end()
        return self._commands

    @property
    def total(self) -> int:
        """How many jobs are known so far."""
        return sum(tally.total for tally in self.tallies.values())

    @property
    def ran(self) -> int:
        """How many jobs' bodies ran."""
        return sum(tally.ran for tally in self.tallies.values())

    @property
    def complete(self) -> bool:
        """Whether the root and all below it are done."""
        return self.root is not None and self.root.stage is DONE

    def outcome(self) -> tuple[bytes | Ref, list[tuple[str, bytes | Ref]]]:
        """The root's value, and the values that it promises in turn."""
        assert self.root is not None and self.root.value is not None
        return self.root.value, closure(self.root.value_needs)

    # Restart

    def replay(self, event: Committed) -> list[Command]:
        """Take in a commit that an earlier leader did not fold into its last checkpoint.

        What the earlier leader did between the commits is not known: when it waited, when it
        gave a request up that no void tells of, how it judged failures. The commit is the truth.
        """
        self._commands = []
        commit = event.commit
        named = [job for entry in commit.entries if (job := self.jobs.get(entry.result.job)) and not job.ran and not job.pending]
        request = self.requests.get(commit.request)
        if request is None and named:
            request = self.requests[commit.request] = OpenRequest(named[0].kind, ())
        if request is None or commit.number < request.next:
            if event.key not in self.held:
                self.garbage.append(event.key)
            return self._commands
        request.next = commit.number  # what is missing before it cannot be read, and runs again
        for job in named:
            job.stage = ISSUED
            request.jobs[job.id] = job
        self._committed(event)
        return self._commands

    def take_over(self, epoch: int) -> None:
        """Give every open request up and go on as the leader of the epoch; tries start anew."""
        self.finished = self.stopping = False
        self.requests.clear()
        self.delayed.clear()
        self.failed.clear()
        self.issuer = Issuer(epoch, self.issuer.sizing)
        for job in self.jobs.values():
            if not job.ran:
                job.tries = job.losses = 0
                job.stage = WAITING if job.pending else READY
                if job.stage is READY:
                    self.issuer.push(job)

    # Commits

    def _committed(self, event: Committed) -> None:
        commit = event.commit
        request = self.requests.get(commit.request)
        if request is None or commit.number != request.next:
            return
        request.next += 1
        self.held[event.key] = 1  # until the end: what one entry lets go of, a later one may hold
        spent, count = 0.0, 0
        for entry in commit.entries:
            job = self._claim(request, entry)
            if job is None:
                continue
            self.past.committed(job, commit.request, request.node, entry.result, entry.usage)
            self._messages(job, entry.result)
            if entry.result.failure is None:
                if job.kind is request.kind:
                    spent, count = spent + entry.usage.wall, count + 1
                self._succeeded(job, entry, event.key, event.start + entry.base, event.payload)
            else:
                self._attempt_failed(job, entry.result.failure, entry.usage, event.now)
        if count:
            self.issuer.learn(request.kind, spent / count)
        if commit.chained and (chained := self.jobs.get(commit.chained)) and chained.stage is READY:
            chained.stage = ISSUED
            request.jobs[chained.id] = chained
        self._let_go(event.key)
        if commit.final:
            self._close(commit.request, request, commit.void, "", event.now)

    def _claim(self, request: OpenRequest, entry: Entry) -> JobState | None:
        """The job that the entry speaks of, when this request may speak of it."""
        job = request.jobs.pop(entry.result.job, None)
        if job is not None:
            return job
        job = self.jobs.get(entry.result.job)  # chained within this very commit
        return job if job is not None and job.stage is READY else None

    def _messages(self, job: JobState, result: Result) -> None:
        for level, text in result.messages:
            self._commands.append(Said(job.id, job.kind.name, level, text))

    def _succeeded(self, job: JobState, entry: Entry, key: str, start: int, payload: bytes | None) -> None:
        result = entry.result
        self.failures.pop(job.id, None)
        self._drop_body(job)
        if result.jobs:
            self._add(result, key, start, payload, entry.base)
            mine = self.jobs
            job.children = (*job.children, *(mine[id] for id in result.children))
            job.follow_ons = (*job.follow_ons, *(mine[id] for id in result.follow_ons))
            for child in (*result.children, *result.follow_ons):
                below = mine[child]
                below.above = (*below.above, job)
                below.pending += 1
        self._tally(job.kind.name).add(entry.usage)
        job.stage = CHILDREN
        if job.holders:
            self._keep_value(job, result, key, start, payload, entry.base)
        self._commands.append(Done(job.id, job.kind.name, entry.usage))
        if result.deleted:
            self._commands.append(Delete(result.deleted))
        if not job.unresolved:
            self.resolved(job)
        children, job.children = job.children, ()
        job.open = len(children)
        for below in children:
            self._release(below)
        if not job.open:
            self._advance(job)

    def _keep_value(self, job: JobState, result: Result, key: str, start: int, payload: bytes | None, base: int) -> None:
        job.value = self._bytes_or_ref(result.value, result.crc, key, start, payload, base)
        if result.value_needs:
            job.value_needs = tuple(self.jobs[id] for id in result.value_needs if id in self.jobs)
            for need in job.value_needs:
                need.holders += 1
                if not need.resolved:
                    job.unresolved += 1
                    if need.value_waiters is None:
                        need.value_waiters = []
                    need.value_waiters.append(job)

    def _bytes_or_ref(self, span: Span, crc: int, key: str, start: int, payload: bytes | None, base: int) -> bytes | Ref:
        if payload is not None and span[1] - span[0] <= INLINE:
            return payload[base + span[0] : base + span[1]]
        self.held[key] += 1
        return ref(key, start, span, crc)

    def _add(self, result: Result, key: str, start: int, payload: bytes | None, base: int = 0) -> None:
        kinds = [self._kind(kind) for kind in result.kinds]
        new: Sequence[NewJob] = result.jobs
        names: dict[str, int] = {}
        jobs = self.jobs
        for item in new:
            kind = kinds[item.kind]
            jobs[item.id] = JobState(item.id, kind, self._bytes_or_ref(item.body, item.crc, key, start, payload, base))
            names[kind.name] = names.get(kind.name, 0) + 1
        for name, count in names.items():
            self._tally(name).total += count
        self._commands.append(Added(names))
        for item in new:
            job = jobs[item.id]
            if item.children:
                job.children = tuple(jobs[id] for id in item.children)
            if item.follow_ons:
                job.follow_ons = tuple(jobs[id] for id in item.follow_ons)
            for below in (*job.children, *job.follow_ons):
                below.above = (*below.above, job)
                below.pending += 1
            if item.needs:
                self._needs(job, item.needs)
        if self.root is None:
            jobs[result.children[0]].pending += 1

    def _needs(self, job: JobState, ids: Iterable[str]) -> None:
        needs = tuple(self.jobs[id] for id in ids)
        job.needs = needs
        for need in needs:
            need.holders += 1
            if not need.resolved:
                if need.waiters is None:
                    need.waiters = []
                need.waiters.append(job)
                job.pending += 1

    def _kind(self, kind: Kind) -> Kind:
        """The one object for all equal kinds; those that no job has any more are forgotten now and then."""
        known = self.kinds.setdefault(kind, kind)
        if len(self.kinds) > self._kinds_kept:
            self.kinds = {job.kind: job.kind for job in self.jobs.values()}
            self.kinds[known] = known
            self._kinds_kept = 2 * len(self.kinds) + 1000
        return known

    def _tally(self, name: str) -> Tally:
        tally = self.tallies.get(name)
        if tally is None:
            tally = self.tallies[name] = Tally()
        return tally

    # Progress

    def _release(self, job: JobState) -> None:
        job.pending -= 1
        if not job.pending and job.stage is WAITING:
            job.stage = READY
            self.issuer.push(job)

    def resolved(self, job: JobState) -> None:
        """The job's value is there, with all that it promises: let go of those that waited for it."""
        stack = [job]
        while stack:
            job = stack.pop()
            waiters, job.waiters = job.waiters, None
            for waiter in waiters or ():
                self._release(waiter)
            values, job.value_waiters = job.value_waiters, None
            for holder in values or ():
                holder.unresolved -= 1
                if not holder.unresolved:
                    stack.append(holder)

    def _advance(self, job: JobState) -> None:
        """Nothing of the job's stage is open any more: go on to the next, and up."""
        stack = [job]
        while stack:
            job = stack.pop()
            if job.stage is CHILDREN and job.follow_ons:
                follow_ons, job.follow_ons = job.follow_ons, ()
                job.stage = FOLLOWING
                job.open = len(follow_ons)
                for below in follow_ons:
                    self._release(below)
                continue
            job.stage = DONE
            above, job.above = job.above, ()
            for upper in above:
                upper.open -= 1
                if not upper.open:
                    stack.append(upper)
            if not job.holders:
                del self.jobs[job.id]

    def _drop_body(self, job: JobState) -> None:
        self._unref(job.body)
        job.body = None
        needs, job.needs = job.needs, ()
        for need in needs:
            self._unhold(need)

    def _unhold(self, job: JobState) -> None:
        stack = [job]
        while stack:
            job = stack.pop()
            job.holders -= 1
            if job.holders or not job.ran:
                continue
            self._unref(job.value)
            job.value = None
            needs, job.value_needs = job.value_needs, ()
            stack.extend(needs)
            if job.stage is DONE:
                del self.jobs[job.id]

    def _unref(self, held: bytes | Ref | None) -> None:
        if isinstance(held, Ref):
            self._let_go(held.key)

    def _let_go(self, key: str) -> None:
        left = self.held[key] - 1
        if left:
            self.held[key] = left
        else:
            del self.held[key]
            self.garbage.append(key)

    # Failures

    def _attempt_failed(self, job: JobState, failure: Failure, usage: Usage | None, now: float) -> None:
        verdict = judge(job.kind, job.tries, job.losses, failure, self.policy)
        if verdict.charged:
            job.tries += 1
        elif failure.reason is not Reason.CANCELLED:
            job.losses += 1
        if verdict.kind is not job.kind:
            job.kind = self._kind(verdict.kind)
        if failure.reason is not Reason.CANCELLED:
            self.failures[job.id] = failure
        if not verdict.again:
            job.stage = FAILED
            self.failed[job.id] = job
        elif verdict.delay > 0:
            job.stage = DELAYED
            heapq.heappush(self.delayed, (now + verdict.delay, job.id, job))
            self._commands.append(Wake(self.delayed[0][0]))
        else:
            job.stage = READY
            self.issuer.push(job)
        if failure.reason is not Reason.CANCELLED:
            self._commands.append(Failed(job.id, job.kind.name, failure, not verdict.again, verdict.left, verdict.delay, usage))
        if not verdict.again and self.policy.stop_on_failure:
            self._stop()

    def _request_ended(self, event: RequestEnded) -> None:
        request = self.requests.get(event.request)
        if request is not None:
            self._close(event.request, request, event.reason, event.message, event.now)

    def _close(self, id: str, request: OpenRequest, reason: Reason | None, message: str, now: float) -> None:
        """End the request; jobs that it never told of are given back."""
        del self.requests[id]
        self.issuer.landed(request.kind)
        reason = Reason.NODE_LOST if reason is None else reason
        failure = Failure(reason, message or reason.value)
        for job in request.jobs.values():
            if request.started or reason is not Reason.CANCELLED:
                self.past.given_up(job, id, request.node, failure, Usage(wall=now - (request.started or now), started=request.started))
            self._attempt_failed(job, failure, None, now)

    def _time_passed(self, now: float) -> None:
        while self.delayed and self.delayed[0][0] <= now:
            job = heapq.heappop(self.delayed)[2]
            if job.stage is DELAYED:
                job.stage = READY
                self.issuer.push(job)
        if self.delayed:
            self._commands.append(Wake(self.delayed[0][0]))

    def _stop(self) -> None:
        if not self.stopping:
            self.stopping = True
            self._commands.append(Cancel(tuple(self.requests)))

    # What goes out

    def _issue(self) -> None:
        if self.stopping:
            return
        for id, kind, jobs in self.issuer.take():
            self.requests[id] = OpenRequest(kind, jobs)
            tasks = tuple(self._task(job) for job in jobs)
            chain = self.chain and len(jobs) == 1
            requirement = batch_requirement(kind, len(jobs))
            self._commands.append(Submit(id, kind.name, requirement, (kind,), tasks, chain))

    def _task(self, job: JobState) -> Task:
        assert job.body is not None
        values = tuple(closure(job.needs)) if job.needs else ()
        return Task(job.id, 0, job.body, values, job.tries + 1)

    def _check_end(self) -> None:
        if self.finished or self.requests:
            return
        if self.complete:
            self._finish("succeeded")
        elif self.stopping:
            self._finish("failed" if self.failed else "interrupted")
        elif not self.delayed and not any(True for _ in self.issuer.ready()):
            self._finish("failed", () if self.failed else tuple(self._stuck()))

    def _finish(self, outcome: str, stuck: tuple[str, ...] = ()) -> None:
        self.finished = True
        self._commands.append(Finish(outcome, stuck))

    def _stuck(self) -> Iterable[str]:
        return (job.id for job in self.jobs.values() if job.stage is WAITING)
