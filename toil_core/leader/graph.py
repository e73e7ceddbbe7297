"""The workflow's state machine: events in, commands out. No clock, no I/O, no thread.

A job's body may run once all its predecessors' bodies ran, all below the children of those
it follows on is done, and the values that its arguments promise are there. A job is done
when its body ran and all its children and then all its follow-ons are done. What is done
and whose value nobody will ask for is forgotten, so memory follows the jobs in flight.
"""

from __future__ import annotations

import heapq
from collections import deque

from toil_core.batch_system import Reason, Usage
from toil_core.leader import restart
from toil_core.leader.growth import Edges, grow, keep_value
from toil_core.leader.history import Past
from toil_core.leader.issue import Issuer, Sizing, batch_requirement
from toil_core.leader.moves import (
    Cancel,
    Command,
    Committed,
    Delete,
    Done,
    Event,
    Failed,
    RequestEnded,
    Said,
    StopAsked,
    Submit,
    Sweep,
    TimePassed,
    Wake,
)
from toil_core.leader.redo import Redo, own_waiters
from toil_core.leader.retries import Policy, judge
from toil_core.leader.services import Limits
from toil_core.leader.serving import Serving
from toil_core.leader.state import CHILDREN, DELAYED, DONE, FAILED, FOLLOWING, ISSUED, READY, WAITING, JobState, OpenRequest, Tally, closure
from toil_core.wire import keys
from toil_core.wire.commits import Commit, Entry
from toil_core.wire.jobs import Failure, Kind, Ref
from toil_core.wire.work import Task

KINDS = 1000  # so many may be known beside twice those that jobs had at the last look


class Graph:
    """One workflow's jobs, edges and states.

    Args:
        epoch: The leader's epoch.
        policy: How failures are treated.
        sizing: What is known of the batch system.
        chain: Whether workers may go on with a job's only successor.
        limits: What bounds services.
    """

    def __init__(self, epoch: int, policy: Policy, sizing: Sizing, *, chain: bool = True, limits: Limits | None = None) -> None:
        self.issuer = Issuer(epoch, sizing)
        self.policy = policy
        self.chain = chain
        self.jobs: dict[str, JobState] = {}
        self.kinds: dict[Kind, Kind] = {}
        self._kinds_kept = KINDS
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
        self._serving = Serving(self, limits or Limits())
        self.services = self._serving.services
        self.redo = Redo()
        self._direct: deque[JobState] = deque()
        self._replaying = False
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
                self.stop()
        self._issue()
        if self._serving.watched and not isinstance(event, StopAsked):
            self._serving.look(event.now, moved=not isinstance(event, TimePassed))
        self._check_end()
        return self._commands

    def load(self, commit: Commit, key: str, start: int, payload: bytes | None) -> None:
        """Take in the user's own graph: the commit of request `0`."""
        (entry,) = commit.entries
        result = entry.result
        self.held[key] = 1
        grow(self, result, key, start, payload)
        self.root = self.jobs[result.children[0]]
        self.root.holders += 1
        self._release(self.root)
        self._let_go(key)

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
        """Take in a commit that an earlier leader did not fold into its last checkpoint."""
        self._commands = []
        self._replaying = True
        if restart.prepare(self, event):
            self._committed(event)
        elif event.key not in self.held:
            self.garbage.append(event.key)
        self._replaying = False
        return self._commands

    def take_over(self, epoch: int) -> None:
        """Give every open request up and go on as the leader of the epoch; tries start anew."""
        self.finished = self.stopping = False
        self.issuer = Issuer(epoch, self.issuer.sizing)
        restart.take_over(self)

    # Commits

    def _committed(self, event: Committed) -> None:
        commit = event.commit
        request = self.requests.get(commit.request)
        if request is None or commit.number != request.next:
            return
        request.next, request.told = request.next + 1, request.told + len(commit.entries)
        self.held[event.key] = 1  # until the end: what one entry lets go of, a later one may hold
        spent, count = 0.0, 0
        for entry in commit.entries:
            job = self._claim(request, entry)
            if job is None:
                if entry.result.job not in self.jobs:  # it was dropped
                    self._commands.append(Sweep((keys.attempt_files(commit.request, entry.result.job),)))
                continue
            if request.kind.service:
                self._serving.told(request, job, entry, event)
                continue
            result = entry.result
            self.past.committed(job, commit.request, request.node, result, entry.usage)
            for level, text in result.messages:
                self._commands.append(Said(job.id, job.kind.name, level, text))
            if result.failure is None:
                if job.kind is request.kind:
                    spent, count = spent + entry.usage.wall, count + 1
                self._succeeded(job, entry, event.key, event.start + entry.base, event.payload)
            else:
                self.attempt_failed(job, result.failure, entry.usage, event.now)
        if count:
            self.issuer.learn(request.kind, spent / count)
        if commit.chained:
            request.goes_on(commit.chained, self.jobs.get(commit.chained))
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

    def _succeeded(self, job: JobState, entry: Entry, key: str, start: int, payload: bytes | None) -> None:
        result, kind = entry.result, job.kind
        if self.failures:
            self.failures.pop(job.id, None)
        if not kind.checkpoint:
            self.drop_body(job)
        if result.jobs:
            grow(self, result, key, start, payload, entry.base)
            mine, edges = self.jobs, Edges()
            children, follow_ons = [mine[id] for id in result.children], [mine[id] for id in result.follow_ons]
            edges.add(job, children)
            edges.add(job, follow_ons)
            edges.close()
            job.children = (*job.children, *children)
            job.follow_ons = (*job.follow_ons, *follow_ons)
        deferred = (kind.checkpoint or self.redo.scopes) and self.redo.ran(job, keys.commit_parts(key)[0], result)
        self.tally(kind.name).add(entry.usage)
        job.stage = CHILDREN
        job.temporary = result.temporary
        if job.holders:
            keep_value(self, job, result, key, start, payload, entry.base)
        self._commands.append(Done(job.id, kind.name, entry.usage, kind.requirement))
        if result.deleted and not deferred:
            self._commands.append(Delete(result.deleted))
        if kind.checkpoint:
            job.unresolved += 1
            own_waiters(job, result, self._release)
        if not job.unresolved and (job.waiters or job.value_waiters):
            self.resolved(job)
        ready, job.children = job.children, ()
        job.open = len(ready)
        if self.services.crews and job.id in self.services.crews:
            self.services.begin(job)
            if job.stage is not CHILDREN:  # they can never run, and it was dropped, or runs again
                return
        for below in ready:
            self._release(below)
        if not job.open:
            self._advance(job)

    def kind(self, kind: Kind) -> Kind:
        """The one object for all equal kinds; those that no job has any more are forgotten now and then."""
        known = self.kinds.setdefault(kind, kind)
        if len(self.kinds) > self._kinds_kept:
            self.kinds = {job.kind: job.kind for job in self.jobs.values()}
            self.kinds[known] = known
            self._kinds_kept = 2 * len(self.kinds) + KINDS
        return known

    def tally(self, name: str) -> Tally:
        """What is known of all jobs of the name."""
        if (tally := self.tallies.get(name)) is None:
            tally = self.tallies[name] = Tally()
        return tally

    # Progress

    def _release(self, job: JobState) -> None:
        job.pending -= 1
        if not job.pending and job.stage is WAITING:
            job.stage = READY
            (self.ready if job.kind.service or job.kind.local else self.issuer.push)(job)

    def ready(self, job: JobState) -> None:
        """The job may be issued: queue it."""
        kind = job.kind
        if kind.service:
            self.services.consider(self.services.members[job.id])
        elif kind.local and self.issuer.sizing.apart:
            self._direct.append(job)
        else:
            self.issuer.push(job)

    def below_ended(self, job: JobState) -> None:
        """One of those that the job waits for is done."""
        job.open -= 1
        if not job.open:
            self._advance(job)

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
            if job.follow_ons:
                follow_ons, job.follow_ons = job.follow_ons, ()
                job.stage = FOLLOWING
                job.open = len(follow_ons)
                for below in follow_ons:
                    self._release(below)
                continue
            job.stage = DONE
            if job.kind.checkpoint:
                self._checkpoint_done(job)
            if self.services.crews and job.id in self.services.crews:
                self.services.dismiss(job.id)
            above, job.above = job.above, ()
            for upper in above:
                upper.open -= 1
                if not upper.open:
                    stack.append(upper)
            if not job.holders:
                self.forget(job)

    def _checkpoint_done(self, job: JobState) -> None:
        """Nothing below it can fail any more: its value counts, and what was to be deleted is."""
        job.unresolved -= 1
        if not job.unresolved:
            self.resolved(job)
        self.drop_body(job)
        deleted = self.redo.done(job)
        if deleted:
            self._commands.append(Delete(deleted))

    def forget(self, job: JobState) -> None:
        """Nobody asks for the job any more."""
        del self.jobs[job.id]
        if self.redo.scope_of or job.temporary:
            self.redo.forget(self, job)

    def drop_body(self, job: JobState) -> None:
        """The job will not run again."""
        self.unref(job.body)
        job.body = None
        if job.needs:
            needs, job.needs = job.needs, ()
            for need in needs:
                self.unhold(need)

    def unhold(self, job: JobState) -> None:
        """One less asks for the job's value."""
        stack = [job]
        while stack:
            job = stack.pop()
            job.holders -= 1
            if job.holders:
                continue
            self.unref(job.value)
            job.value = None
            needs, job.value_needs = job.value_needs, ()
            stack.extend(needs)
            if job.stage is DONE:
                self.forget(job)

    def unref(self, held: bytes | Ref | None) -> None:
        """The bytes, or the reference, are not needed here any more."""
        if type(held) is Ref:  # ten times as quick as isinstance, for what is none
            self._let_go(held.key)

    def _let_go(self, key: str) -> None:
        left = self.held[key] - 1
        if left:
            self.held[key] = left
        else:
            del self.held[key]
            self.garbage.append(key)

    # Failures

    def attempt_failed(self, job: JobState, failure: Failure, usage: Usage | None, now: float) -> None:
        """An attempt at the job failed: decide what becomes of it."""
        verdict = judge(job.kind, job.tries, job.losses, failure, self.policy)
        if verdict.charged:
            job.tries += 1
        elif failure.reason is not Reason.CANCELLED:
            job.losses += 1
        if verdict.kind is not job.kind:
            job.kind = self.kind(verdict.kind)
        if failure.reason is not Reason.CANCELLED:
            self.failures[job.id] = failure
        redone = None
        if not verdict.again:
            job.stage = FAILED
            self.failed[job.id] = job
            redone = self.redo.again(job, self.policy) if self.redo.scope_of and not self._replaying else None
        if failure.reason is not Reason.CANCELLED:
            told, instead = (verdict, "") if redone is None else (redone[1], redone[0].job.kind.name)
            self._commands.append(Failed(job.id, job.kind.name, failure, not told.again, told.left, told.delay, usage, instead))
        if redone is not None:
            self.redo.drop(self, redone[0])
            redone[0].job.tries += 1
            self._try_again(redone[0].job, redone[1].delay, now)
        elif verdict.again:
            self._try_again(job, verdict.delay, now)
        elif self.policy.stop_on_failure:
            self.stop()

    def _try_again(self, job: JobState, delay: float, now: float) -> None:
        if delay > 0:
            job.stage = DELAYED
            heapq.heappush(self.delayed, (now + delay, job.id, job))
            self.wake()
        else:
            job.stage = READY
            self.ready(job)

    def _request_ended(self, event: RequestEnded) -> None:
        request = self.requests.get(event.request)
        if request is not None:
            self._close(event.request, request, event.reason, event.message, event.now)

    def _close(self, id: str, request: OpenRequest, reason: Reason | None, message: str, now: float) -> None:
        """End the request; jobs that it never told of are given back."""
        del self.requests[id]
        kind = request.kind
        if not (kind.service or (kind.local and self.issuer.sizing.apart)):  # those are not the issuer's
            self.issuer.landed(id, kind)
        if not (request.jobs or kind.service):  # as of most
            return
        left = [*request.jobs.values()]
        reason = Reason.NODE_LOST if reason is None else reason
        failure = Failure(reason, message or reason.value)
        if kind.service:
            self.services.closed(id, failure, now, told=not left)
            return
        for job in left:
            if self.jobs.get(job.id) is not job:  # dropped with another that failed just now
                continue
            if request.started or reason is not Reason.CANCELLED:
                self.past.given_up(job, id, request.node, failure, Usage(wall=now - (request.started or now), started=request.started))
            self.attempt_failed(job, failure, None, now)

    def _time_passed(self, now: float) -> None:
        while self.delayed and self.delayed[0][0] <= now:
            job = heapq.heappop(self.delayed)[2]
            if job.stage is DELAYED:
                job.stage = READY
                self.ready(job)
        self.wake()

    def wake(self) -> None:
        """Ask for the next time at which something is to be done."""
        times = [at for at in (self.delayed[0][0] if self.delayed else None, self._serving.look_at) if at is not None]
        if times:
            self._commands.append(Wake(min(times)))

    def stop(self) -> None:
        """End what runs, and issue nothing more."""
        if not self.stopping:
            self.stopping = True
            self._commands.append(Cancel(tuple(id for id, request in self.requests.items() if not request.kind.service)))
            self.services.stop_all()

    def tell(self, command: Command) -> None:
        """Have the command carried out after those before it."""
        self._commands.append(command)

    # What goes out

    def _issue(self) -> None:
        if self.stopping:
            return
        for service in self.services.take() if self.services.crews else ():
            id = self.issuer.request()
            self._send(id, service.job.kind, [service.job])
            self.services.issued(id, service)
        while self._direct:
            job = self._direct.popleft()
            if job.stage is READY and (self.issuer.gate is None or not self.issuer.gate(job)):
                self._send(self.issuer.request(), job.kind, [job])
        for id, kind, jobs in self.issuer.take():
            self._send(id, kind, jobs)

    def _send(self, id: str, kind: Kind, jobs: list[JobState]) -> None:
        tasks = []
        for job in jobs:
            job.stage = ISSUED
            tasks.append(self._task(job))
        self.requests[id] = OpenRequest(kind, jobs)
        chain = self.chain and len(jobs) == 1 and not (kind.service or jobs[0].children or jobs[0].id in self.services.crews)
        self._commands.append(Submit(id, kind.name, batch_requirement(kind, len(jobs)), kind, tuple(tasks), chain))

    def _task(self, job: JobState) -> Task:
        assert job.body is not None
        values = tuple(closure(job.needs)) if job.needs else ()
        return Task(job.id, 0, job.body, values, job.tries + 1)

    def _check_end(self) -> None:
        idle = len(self.requests) <= len(self.services.requests)  # nothing but services runs
        if idle and not self.finished and (finish := self._serving.end()) is not None:
            self.finished = True
            self._commands.append(finish)
