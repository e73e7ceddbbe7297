"""What is below checkpoint jobs, so that it can be dropped and run again. Pure.

A checkpoint job has no successors before it runs, so all below it was added by it or by jobs that
it added, and nothing outside is linked with any of it. Nobody outside sees its value, and no file
is deleted for anything below it, before all of that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from toil_core.batch_system import Reason
from toil_core.leader.moves import Cancel, Delete, Dropped, Sweep
from toil_core.leader.retries import Policy, Verdict, judge
from toil_core.leader.state import FAILED, READY, JobState
from toil_core.wire import keys
from toil_core.wire.jobs import Failure, Result

if TYPE_CHECKING:
    from toil_core.leader.graph import Graph


class Scope:
    """All below one checkpoint job that ran and is not done.

    Attributes:
        job: The checkpoint job.
        outer: What it is itself part of.
        members: Ids of the jobs in it that are not forgotten; not those in scopes within it.
        files: Prefixes of the files of attempts that count: the job's own, and those of its members.
        deleted: Files to delete when the job is done.
        added: How many members there ever were, by name.
        ran: How many of them ran, by name.
    """

    __slots__ = ("added", "deleted", "files", "job", "members", "outer", "ran")

    def __init__(self, job: JobState, outer: Scope | None) -> None:
        self.job = job
        self.outer = outer
        self.members: dict[str, None] = {}
        self.files: list[str] = []
        self.deleted: list[str] = []
        self.added: dict[str, int] = {}
        self.ran: dict[str, int] = {}


class Redo:
    """The scopes of all checkpoint jobs that are at work.

    Attributes:
        scopes: By the checkpoint job's id.
        scope_of: For each member of one, by its id.
    """

    def __init__(self) -> None:
        self.scopes: dict[str, Scope] = {}
        self.scope_of: dict[str, Scope] = {}

    def ran(self, job: JobState, request: str, result: Result) -> bool:
        """A job's body ran and added jobs; whether it is a checkpoint job or below one, so that what it deletes has to wait."""
        around = self.scope_of.get(job.id)
        scope = around
        if job.kind.checkpoint:
            scope = self.scopes[job.id] = Scope(job, around)
        if scope is None:
            return False
        name = job.kind.name
        if around is not None:
            around.ran[name] = around.ran.get(name, 0) + 1
        scope.files.append(keys.attempt_files(request, job.id))
        scope.deleted.extend(result.deleted)
        for new in result.jobs:
            scope.members[new.id] = None
            self.scope_of[new.id] = scope
            kind = result.kinds[new.kind].name
            scope.added[kind] = scope.added.get(kind, 0) + 1
        return True

    def done(self, job: JobState) -> tuple[str, ...]:
        """All below the checkpoint job is done: the files to delete now."""
        scope = self.scopes.pop(job.id)
        outer = scope.outer
        if outer is None:
            for id in scope.members:
                del self.scope_of[id]
            return tuple(scope.deleted)
        outer.members.update(scope.members)
        self.scope_of.update(dict.fromkeys(scope.members, outer))
        outer.files += scope.files
        outer.deleted += scope.deleted
        for mine, theirs in ((outer.added, scope.added), (outer.ran, scope.ran)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        return ()

    def forget(self, graph: Graph, job: JobState) -> None:
        """The job is not known any more; its temporary files go with it, or with the checkpoint job that it is below."""
        scope = self.scope_of.pop(job.id, None)
        if scope is not None:
            del scope.members[job.id]
            scope.deleted.extend(job.temporary)
        elif job.temporary:
            graph.tell(Delete(job.temporary))

    def service_over(self, job: JobState) -> None:
        """A service below a checkpoint job has served."""
        scope = self.scope_of.get(job.id)
        if scope is not None:
            scope.ran[job.kind.name] = scope.ran.get(job.kind.name, 0) + 1

    def again(self, job: JobState, policy: Policy) -> tuple[Scope, Verdict] | None:
        """The innermost checkpoint job around a job that failed for good that has a try left, and how it is tried again."""
        scope = self.scope_of.get(job.id)
        while scope is not None:
            top = scope.job
            verdict = judge(top.kind, top.tries, top.losses, Failure(Reason.FAILED, "a job below it failed"), policy)
            if verdict.again:
                return scope, verdict
            scope = scope.outer
        return None

    def drop(self, graph: Graph, scope: Scope) -> None:
        """Drop all below the scope's job, which is then as it was before it ran."""
        scopes = self._nest(scope)
        doomed = {id: graph.jobs[id] for each in scopes for id in each.members}
        self._dismiss(graph, scope.job, doomed)
        for job in doomed.values():
            _let_go(graph, scope.job, job)
        graph.tell(Sweep(tuple(prefix for each in scopes for prefix in each.files)))
        self._uncount(graph, scope, scopes)
        _reset(graph, scope.job, doomed)
        for each in scopes:
            del self.scopes[each.job.id]
        for id in doomed:
            self.scope_of.pop(id, None)
        cancelled = []
        for id, request in graph.requests.items():
            gone = [] if request.kind.service else [job for job in request.jobs if job in doomed]
            for job_id in gone:
                del request.jobs[job_id]
            request.dropped += tuple(gone)
            if gone and not request.jobs:
                cancelled.append(id)
        if cancelled:
            graph.tell(Cancel(tuple(cancelled)))

    def _nest(self, scope: Scope) -> list[Scope]:
        """The scope and all within it."""
        found = [scope]
        for each in found:  # grows while it is walked
            found += [inner for id in each.members if (inner := self.scopes.get(id)) is not None]
        return found

    def _dismiss(self, graph: Graph, top: JobState, doomed: dict[str, JobState]) -> None:
        services = graph.services
        for owner in [id for id in services.crews if id in doomed or id == top.id]:
            services.dismiss(owner, dropped=True)

    def _uncount(self, graph: Graph, scope: Scope, scopes: list[Scope]) -> None:
        names: dict[str, tuple[int, int]] = {scope.job.kind.name: (0, 1)}
        for each in scopes:
            for name in each.added:
                added, ran = names.get(name, (0, 0))
                names[name] = added + each.added[name], ran + each.ran.get(name, 0)
        for name, (added, ran) in names.items():
            graph.tallies[name].total -= added
            graph.tallies[name].ran -= ran
        if scope.outer is not None:
            scope.outer.ran[scope.job.kind.name] -= 1
        graph.tell(Dropped(scope.job.id, scope.job.kind.name, names))


def own_waiters(job: JobState, result: Result, release: Callable[[JobState], None]) -> None:
    """A checkpoint job's value is there; those that it added itself wait only for what the value promises.

    All others wait until the job is done.
    """
    new = {item.id for item in result.jobs}
    inside = [waiter for waiter in job.waiters or () if waiter.id in new]
    if not inside:
        return
    job.waiters = [waiter for waiter in job.waiters or () if waiter.id not in new]
    for waiter in inside:
        for need in job.value_needs:
            if not need.resolved:
                need.waiters = [*(need.waiters or ()), waiter]
                waiter.pending += 1
        release(waiter)


def _let_go(graph: Graph, top: JobState, job: JobState) -> None:
    graph.failed.pop(job.id, None)
    graph.failures.pop(job.id, None)
    top.holders -= job.needs.count(top)
    if job.id in graph.services.members:  # it is forgotten when it has stopped
        job.needs = ()
        job.holders = 0
        return
    graph.unref(job.body)
    graph.unref(job.value)
    job.stage = FAILED
    job.body = job.value = None
    job.needs = job.value_needs = job.above = job.children = job.follow_ons = ()
    graph.jobs.pop(job.id, None)


def _reset(graph: Graph, job: JobState, doomed: dict[str, JobState]) -> None:
    graph.unref(job.value)
    job.value, job.value_needs, job.unresolved = None, (), 0
    job.children = job.follow_ons = ()
    job.open = 0
    job.waiters = [waiter for waiter in job.waiters or () if waiter.id not in doomed] or None
    job.stage = READY
