"""How far a workflow is, at once, whatever its size: from the page that its leader keeps."""

from __future__ import annotations

from collections import Counter

import msgspec

from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.leader import epoch, page
from toil_core.leader.graph import Graph
from toil_core.leader.page import Page
from toil_core.leader.state import DONE, JobState
from toil_core.monitor import status
from toil_core.monitor.status import DelayedJob, FailedJob, KindStatus, LeaderStatus, RunningJob, Status
from toil_core.wire import commits, keys
from toil_core.wire.reread import UNREADABLE
from toil_core.wire.run import WorkflowInfo

SMALL = 8 << 20
"""Checkpoint and commits are read whole when they have fewer bytes than this."""


def glance(store: JobStore, locator: str) -> Status:
    """Tell how far the workflow is, without reading it all when it is large.

    Of a small workflow the counts are exact, and of a large one whose leader is dead. Which jobs run, and the
    counts of a large workflow, are as old as the leader's option `status_interval` lets them be.

    Args:
        store: The job store.
        locator: What the user calls it.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        CorruptBlob: Nothing that can be read says what the workflow is.
    """
    info = status.workflow_info(store, locator)
    if info is None:
        return Status(locator)
    last = epoch.last_epoch(store)
    told = newest_page(store, last)
    if told is None:
        return status.examine(store, locator)
    leader = status.describe_leader(store, last)
    if told.outcome:
        return _status(locator, info, store, msgspec.structs.replace(leader, state="stopped"), told, 0)
    if _is_small(store):
        found, graph, _ = status.examine_graph(store, locator)
        return _with_running(found, graph, told) if leader.state in ("running", "unknown") else found
    if leader.state == "dead":
        told, untold = _with_tail(store, told)
        return _status(locator, info, store, leader, told, untold)
    return _status(locator, info, store, leader, told, 0)


def newest_page(store: JobStore, epoch: int) -> Page | None:
    """What the epoch's leader told last; None when it has told nothing that can be read."""
    try:
        with store.read(keys.page(epoch)) as stream:
            return page.decode(stream.read())
    except (NoSuchKey, *UNREADABLE):
        return None


def _status(locator: str, info: WorkflowInfo, store: JobStore, leader: LeaderStatus, told: Page, untold: int) -> Status:
    setup = status.setup(store, told.epoch)
    alive = leader.state in ("running", "unknown")
    requests = [request for request in told.requests if request.started and request.first] if alive else []
    kinds = tuple(KindStatus(k.name, k.total, k.done, k.failed, k.cpu, k.wall, k.memory, k.running if alive else 0) for k in told.kinds)
    done, total = sum(kind.done for kind in kinds) + untold, sum(kind.total for kind in kinds)
    return Status(
        locator, info.id, info.name, info.created, info.engine, (setup.script or setup.module) if setup else "",
        told.complete, total, done, told.failed, total - done - told.failed, leader, kinds, _failures(told), (),
        len(requests), tuple(RunningJob(r.first, r.name, r.id, r.node, r.started, r.jobs - 1) for r in requests[: page.SHOWN]),
        len(told.requests) - len(requests) if alive else 0, told.ready if alive else 0,
        tuple(DelayedJob(*delayed) for delayed in told.delayed) if alive else (), told.written, untold,
    )  # fmt: skip


def _with_running(found: Status, graph: Graph, told: Page) -> Status:
    """What was read from commits, with what only the leader can tell."""
    requests = [request for request in told.requests if request.started and (job := graph.jobs.get(request.first)) and _runs(job)]
    running = Counter(request.name for request in requests)
    failed = {kind.name: kind.failed for kind in told.kinds}  # not every failure is in a commit
    final = {failure.job: failure for failure in found.failures if failure.final}  # it may have failed for good since the leader told
    newest = [final.pop(failure.job, failure) for failure in _still_open(told, graph)]
    known = {failure.job for failure in _failures(told)} - final.keys()
    return msgspec.structs.replace(
        found,
        kinds=tuple(
            msgspec.structs.replace(kind, running=running[kind.name], failed=max(kind.failed, failed.get(kind.name, 0))) for kind in found.kinds
        ),
        failed=max(found.failed, told.failed),
        open=min(found.open, found.total - found.done - told.failed),
        failures=tuple(sorted([*newest, *(f for f in found.failures if f.job not in known)], key=lambda failure: not failure.final)),
        running=len(requests),
        running_jobs=tuple(RunningJob(r.first, r.name, r.id, r.node, r.started, r.jobs - 1) for r in requests[: page.SHOWN]),
        submitted=sum(not request.started for request in told.requests),
        ready=told.ready,
        delayed=tuple(DelayedJob(*delayed) for delayed in told.delayed),
        as_of=told.written,
    )


def _runs(job: JobState) -> bool:
    """Whether a job in a request can still run; a service that is up counts as one whose body ran."""
    return job.stage is not DONE if job.kind.service else not job.ran


def _still_open(told: Page, graph: Graph) -> list[FailedJob]:
    return [failure for failure in _failures(told) if (job := graph.jobs.get(failure.job)) and not job.ran]


def _failures(told: Page) -> tuple[FailedJob, ...]:
    return tuple(
        FailedJob(job, name, final, why.reason.value, why.message, why.exit_code, why.log, why.tail) for job, name, final, why in told.failures
    )


def _is_small(store: JobStore) -> bool:
    """Whether the whole graph is read in no time."""
    newest = max(store.list(keys.CHECKPOINTS), key=lambda blob: blob.key, default=None)
    total = 0 if newest is None else newest.size
    if total < SMALL:
        initial = keys.commit(keys.ROOT, 0)
        total += sum(blob.size for blob in store.list(keys.COMMITS) if newest is None or blob.key != initial)
    return total < SMALL


def _with_tail(store: JobStore, told: Page) -> tuple[Page, int]:
    """The page with what was committed after it; and how many jobs were done whose names only the graph knows."""
    kinds = {kind.name: kind for kind in told.kinds}
    opened = {request.id: request for request in told.requests}
    names: dict[str, str] = {}
    untold = 0
    for blob in store.list(f"{keys.COMMITS}{told.epoch}-"):
        request, number = keys.commit_parts(blob.key)
        known = opened.get(request)
        if number < known.next if known else keys.request_order(request)[1] <= told.sequence:
            continue
        try:
            entries = commits.read(store, blob.key)[0].entries
        except (CorruptBlob, NoSuchKey):  # such jobs run again
            continue
        for entry in entries:
            result, usage = entry.result, entry.usage
            if result.failure is not None:
                continue
            for new in result.jobs:
                name = names[new.id] = result.kinds[new.kind].name
                before = kinds.get(name) or page.KindPage(name, 0, 0, 0, 0, 0.0, 0.0, 0)
                kinds[name] = msgspec.structs.replace(before, total=before.total + 1)
            kind = kinds.get(names.get(result.job) or (known.name if known else ""))
            if kind is None:
                untold += 1
            else:
                kinds[kind.name] = msgspec.structs.replace(kind, done=kind.done + 1, cpu=kind.cpu + usage.cpu, wall=kind.wall + usage.wall)
    return msgspec.structs.replace(told, kinds=list(kinds.values())), untold
