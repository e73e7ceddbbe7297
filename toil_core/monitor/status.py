"""How far a workflow is, read from its job store without disturbing a leader that works on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from toil_core.errors import CorruptBlob, NoSuchJobStore, NoSuchKey, StoreError
from toil_core.job_store import JobStore, check_place
from toil_core.leader import checkpoints, epoch
from toil_core.leader.checkpoints import Found
from toil_core.leader.collector import rare
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.options import EngineOptions
from toil_core.leader.retries import Policy
from toil_core.locators import quoted
from toil_core.options import Config
from toil_core.wire import keys, run, work
from toil_core.wire.reread import UNREADABLE
from toil_core.wire.run import LeaderInfo, WorkflowInfo
from toil_core.wire.work import Setup

_TRIES = 20
"""How often reading starts anew because a leader removed what it had folded into a newer checkpoint."""

LeaderState = Literal["none", "running", "stopped", "dead", "unknown"]


class LeaderStatus(msgspec.Struct, frozen=True):
    """What is known of the newest leader.

    Args:
        state: `none` when there was none yet, `running`, `stopped` in good order, `dead`, or `unknown`
            when it is on a machine that cannot be asked from here.
        epoch: Its number, from 1; 0 for none.
        host: Its machine.
        pid: Its process there.
        started: When it became the leader, in seconds since 1970.
    """

    state: LeaderState = "none"
    epoch: int = 0
    host: str = ""
    pid: int = 0
    started: float = 0.0


class KindStatus(msgspec.Struct, frozen=True):
    """All jobs of one name.

    Args:
        name: The name.
        total: Jobs known so far.
        done: Jobs whose bodies ran.
        failed: Jobs that failed for good.
        cpu: Processor seconds of those that are done.
        wall: Seconds of those that are done, added up.
        memory: Bytes at the peak of the hungriest of them.
        running: Jobs that run.
    """

    name: str
    total: int
    done: int
    failed: int
    cpu: float
    wall: float
    memory: int
    running: int = 0

    @property
    def waiting(self) -> int:
        """Jobs that wait: for others, for room, or for another attempt."""
        return self.total - self.done - self.failed - self.running


class FailedJob(msgspec.Struct, frozen=True):
    """A job whose last attempt failed.

    Args:
        job: Its id.
        name: Its name.
        final: Whether it failed for good; otherwise it runs, or will run, again.
        reason: Why, in a word or two.
        message: The error in a line.
        exit_code: Of the attempt's process; None when there was none.
        log: Key of the attempt's log; empty when it printed nothing.
        tail: The last lines of the log.
    """

    job: str
    name: str
    final: bool
    reason: str
    message: str
    exit_code: int | None
    log: str
    tail: str


class RunningJob(msgspec.Struct, frozen=True):
    """A job that runs.

    Args:
        job: Its id; empty when what comes next in the request is not known.
        name: Its name.
        request: The request that it travels in.
        node: Where it runs.
        since: When the request began to run, in seconds since 1970.
        behind: How many jobs of the same request run after it.
    """

    job: str
    name: str
    request: str
    node: str
    since: float
    behind: int = 0


class DelayedJob(msgspec.Struct, frozen=True):
    """A job that waits before another attempt.

    Args:
        job: Its id.
        name: Its name.
        until: When it may run, in seconds since 1970.
    """

    job: str
    name: str
    until: float


class Status(msgspec.Struct, frozen=True):
    """How far a workflow is.

    Args:
        job_store: The locator.
        workflow: The workflow's id; empty when its start was cut short.
        name: What people call it.
        created: When it was begun, in seconds since 1970.
        engine: The version of toil-core that began it.
        script: The user's script as the newest leader ran it; empty when unknown.
        complete: Whether all is done.
        total: Jobs known so far.
        done: Jobs whose bodies ran.
        failed: Jobs that failed for good.
        open: Jobs that run or wait.
        leader: The newest leader.
        kinds: Counts by name.
        failures: Jobs whose last attempt failed; those that failed for good come first.
        corrupt: What could not be read.
        running: Jobs that run.
        running_jobs: Up to 100 of them.
        submitted: Requests that wait for room in the batch system.
        ready: Jobs that could run and wait for room in the batch system.
        delayed: Up to 100 jobs that wait before another attempt.
        as_of: When the leader told this, in seconds since 1970; 0 when it was read from what jobs committed.
        untold: Jobs counted in `done` that are missing from `kinds`: they ended after the leader had last told of itself.
    """

    job_store: str
    workflow: str = ""
    name: str = ""
    created: float = 0.0
    engine: str = ""
    script: str = ""
    complete: bool = False
    total: int = 0
    done: int = 0
    failed: int = 0
    open: int = 0
    leader: LeaderStatus = LeaderStatus()
    kinds: tuple[KindStatus, ...] = ()
    failures: tuple[FailedJob, ...] = ()
    corrupt: tuple[str, ...] = ()
    running: int = 0
    running_jobs: tuple[RunningJob, ...] = ()
    submitted: int = 0
    ready: int = 0
    delayed: tuple[DelayedJob, ...] = ()
    as_of: float = 0.0
    untold: int = 0


def examine(store: JobStore, locator: str) -> Status:
    """Read how far the workflow is; nothing in the store is changed.

    Args:
        store: The job store.
        locator: What the user calls it.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        CorruptBlob: Nothing that can be read says what the workflow is.
    """
    return examine_graph(store, locator)[0]


def examine_graph(store: JobStore, locator: str) -> tuple[Status, Graph, Found]:
    """As `examine`, with what it was read from; the graph is empty when the workflow's start was cut short."""
    info = workflow_info(store, locator)
    if info is None:
        return Status(locator), empty_graph(), Found()
    last = epoch.last_epoch(store)
    told = setup(store, last)
    graph, found = load(store, told.options if told else info.options)
    done, failed = graph.ran, len(graph.failed)
    status = Status(
        locator, info.id, info.name, info.created, info.engine, (told.script or told.module) if told else "",
        graph.complete, graph.total, done, failed, graph.total - done - failed,
        describe_leader(store, last, found), _kinds(graph), tuple(_failures(graph)), tuple(found.corrupt),
    )  # fmt: skip
    return status, graph, found


def workflow_info(store: JobStore, locator: str) -> WorkflowInfo | None:
    """What the store says of its workflow; None when the start of one was cut short.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        NotAJobStore: Something else is there.
        CorruptBlob: The record cannot be read.
    """
    try:
        with store.read(keys.WORKFLOW) as stream:
            info = run.decode_workflow(stream.read())
    except NoSuchKey:
        if next(iter(store.list()), None) is None:
            raise NoSuchJobStore(f"there is no job store at {locator}, or nothing was stored in it yet") from None
        if epoch.last_epoch(store):
            raise CorruptBlob(keys.WORKFLOW, "the record of the workflow has been removed") from None
        check_place(store)
        return None
    return info if epoch.begun(store) else None


def load(store: JobStore, options: Mapping[str, Any]) -> tuple[Graph, Found]:
    """The graph as the last checkpoint and the commits after it tell it.

    A leader at work removes what it has folded into a checkpoint when it has written the one after that;
    reading then starts anew, from the newest. When the leader is quicker every time, the last reading may
    lack what happened in between.

    Args:
        store: The job store.
        options: The run's options as saved: they say how failures are judged.

    Raises:
        CorruptBlob: Nothing that can be read says what the workflow is.
        StoreError: The store changes faster than it can be read, or is not whole.
    """
    read: tuple[Graph, Found] | None = None
    missing: NoSuchKey | None = None
    for _ in range(_TRIES):
        newest = max(checkpoints.existing(store), default="")
        graph = empty_graph(options)
        try:
            with rare():  # else a large graph is looked through again and again while it is made
                read = graph, checkpoints.load(store, graph)
        except NoSuchKey as error:
            missing = error
            continue
        if sum(key > newest for key in checkpoints.existing(store)) <= 1:
            return read
    if read is None:
        raise StoreError(missing.key if missing else keys.CHECKPOINTS, "the job store is not whole, or changes faster than it can be read")
    return read


def empty_graph(options: Mapping[str, Any] = MappingProxyType({})) -> Graph:
    """A graph that nothing was read into yet.

    Args:
        options: The run's options as saved.
    """
    saved = Config.from_dict(options)[EngineOptions]
    return Graph(0, Policy(tries=saved.retry_count + 1, losses=saved.max_node_losses), Sizing())


def setup(store: JobStore, epoch: int) -> Setup | None:
    """What the workers of an epoch are told; None when it is not there (yet) or cannot be read."""
    try:
        with store.read(keys.setup(epoch)) as stream:
            return work.decode_setup(stream.read())
    except (NoSuchKey, *UNREADABLE):
        return None


def leader_status(store: JobStore) -> LeaderStatus:
    """What is known of the newest leader, without reading the graph when that is not needed."""
    last = epoch.last_epoch(store)
    status = describe_leader(store, last)
    if status.state in ("running", "unknown") and ended_by(store, last):
        return msgspec.structs.replace(status, state="stopped")
    return status


def ended_by(store: JobStore, last: int) -> bool:
    """Whether the leader of that epoch ended in good order."""
    try:
        return checkpoints.ended(store) == last
    except NoSuchKey:  # a leader that is at work has just replaced it
        return False


def advice(status: Status) -> str:
    """What to do next, in a line."""
    locator = quoted(status.job_store)
    if not status.workflow:
        return f"Next: remove it with `toil clean {locator}` and start the workflow anew."
    if status.complete:
        return f"Next: nothing is left to do; `toil clean {locator}` removes the job store."
    if status.leader.state == "running":
        return f"Next: wait; the leader is at work. `toil why {locator}` tells what it waits for."
    where = quoted(status.script) if status.script else "YOUR_SCRIPT"
    restart = f"python {where} {locator} --restart"
    if status.leader.state == "unknown":
        return f"Next: ask on {status.leader.host} whether the leader still runs; when it has ended: `{restart} --take-over`."
    return f"Next: go on with `{restart}`" + (" when the cause of the failures is gone." if status.failed else ".")


def describe_leader(store: JobStore, last: int, found: Found | None = None) -> LeaderStatus:
    if not last:
        return LeaderStatus()
    info = epoch.leader_info(store, last)
    if info is None:
        return LeaderStatus("dead", last)
    if found is not None and found.ended and found.base_epoch == last:
        state: LeaderState = "stopped"
    else:
        state = _liveness(info)
    return LeaderStatus(state, last, info.host, info.pid, info.started)


def _liveness(info: LeaderInfo) -> LeaderState:
    living = epoch.alive(info)
    return "unknown" if living is None else "running" if living else "dead"


def _kinds(graph: Graph) -> tuple[KindStatus, ...]:
    failed: dict[str, int] = {}
    for job in graph.failed.values():
        failed[job.kind.name] = failed.get(job.kind.name, 0) + 1
    return tuple(
        KindStatus(name, tally.total, tally.ran, failed.get(name, 0), tally.cpu, tally.wall, tally.memory)
        for name, tally in graph.tallies.items()
    )  # fmt: skip


def _failures(graph: Graph) -> list[FailedJob]:
    known = [(graph.jobs[id], id in graph.failed, failure) for id, failure in graph.failures.items() if id in graph.jobs]
    known.sort(key=lambda item: not item[1])
    return [FailedJob(job.id, job.kind.name, final, f.reason.value, f.message, f.exit_code, f.log, f.tail) for job, final, f in known]
