"""What happens in a run, told to every plugin through the `toil_event` hook.

Events are plain data. Times are seconds since 1970. A hook is called from the leader's own
thread and should return quickly; what it raises is logged and does not stop the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toil_core.batch_system import Reason, Requirement, Usage


@dataclass(frozen=True, slots=True)
class Event:
    """Base of every event.

    Args:
        time: When it happened.
    """

    time: float


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A leader has taken up a workflow.

    Args:
        workflow: The workflow's id.
        job_store: The locator.
        epoch: The number of this leader, from 1.
        restarted: Whether an earlier leader worked on it.
        total: Jobs known so far.
        done: Jobs that earlier leaders finished.
        kinds: Of each name, how many jobs are known and how many of them are done.
    """

    workflow: str
    job_store: str
    epoch: int
    restarted: bool
    total: int
    done: int
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobsAdded(Event):
    """Jobs became known.

    Args:
        names: How many of each name.
    """

    names: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JobsDropped(Event):
    """A checkpoint job runs again; all below it is known no more.

    Args:
        job: The checkpoint job's id.
        name: Its name.
        names: Of each name, how many jobs are known no more, and how many that were done are not any more.
    """

    job: str
    name: str
    names: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ServiceUp(Event):
    """A service is up. It is told to be done, as other jobs, when it has stopped.

    Args:
        job: The service's id.
        name: Its name.
    """

    job: str
    name: str


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """A request that holds the job began to run.

    Args:
        job: The job's id.
        name: The job's name.
        request: The request's id.
        node: Where.
    """

    job: str
    name: str
    request: str
    node: str


@dataclass(frozen=True, slots=True)
class JobDone(Event):
    """A job's body ran and its commit was applied. What it added may still have to run.

    Args:
        job: The job's id.
        name: The job's name.
        usage: What the attempt used.
        requirement: What had been set aside for it, when known.
    """

    job: str
    name: str
    usage: Usage
    requirement: Requirement | None = None


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    """One attempt at a job did not succeed.

    Args:
        job: The job's id.
        name: The job's name.
        reason: Why.
        message: The error in a line.
        log: Key of the attempt's log in the job store; empty when there is none.
        tail: The last lines of the log.
        final: Whether the job has failed for good.
        tries_left: How many more attempts it gets for this reason.
        retry_in: Seconds until the next attempt may start.
        usage: What the attempt used, when known.
        instead: The name of the checkpoint job above it that runs again in its place, if one does; tries and seconds are that job's then.
    """

    job: str
    name: str
    reason: Reason
    message: str
    log: str
    tail: str
    final: bool
    tries_left: int
    retry_in: float
    usage: Usage | None = None
    instead: str = ""


@dataclass(frozen=True, slots=True)
class JobMessage(Event):
    """A job had something to tell the user.

    Args:
        job: The job's id.
        name: The job's name.
        level: A level of the logging module.
        text: What it said.
    """

    job: str
    name: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The leader has stopped.

    Args:
        outcome: `succeeded`, `failed` or `interrupted`.
        done: Jobs whose bodies ran.
        failed: Jobs that failed for good.
        total: Jobs known.
    """

    outcome: str
    done: int
    failed: int
    total: int
