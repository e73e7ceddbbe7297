"""What the graph is told, and what it asks for in return. Plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.wire.commits import Commit
from toil_core.wire.jobs import Failure, Kind
from toil_core.wire.work import Task

# Events: what happened.


class Committed(msgspec.Struct, frozen=True):
    """A commit was made.

    Args:
        commit: Its header.
        key: The blob's key.
        start: Where the payload starts in the blob.
        payload: The payload when it is at hand, else None: bytes are then referred to, not held.
        now: Seconds since 1970.
    """

    commit: Commit
    key: str
    start: int
    payload: bytes | None
    now: float


@dataclass(frozen=True, slots=True)
class RequestEnded:
    """A request is over, and every commit it made was told before.

    Args:
        request: Its id.
        reason: None when the worker ended it in good order; else why it was given up.
        message: A line for the user.
        now: Seconds since 1970.
    """

    request: str
    reason: Reason | None
    message: str
    now: float


@dataclass(frozen=True, slots=True)
class TimePassed:
    """It is now.

    Args:
        now: Seconds since 1970.
    """

    now: float


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The run is to stop: nothing more is issued."""


Event = Committed | RequestEnded | TimePassed | StopAsked

# Commands: what to do about it.


class Submit(msgspec.Struct, frozen=True):
    """Send a request.

    Args:
        request: The request's id.
        name: What to call it.
        requirement: What it needs.
        kind: The kind of all its tasks.
        tasks: The tasks.
        chain: Whether the worker may go on with a task's only successor.
    """

    request: str
    name: str
    requirement: Requirement
    kind: Kind
    tasks: tuple[Task, ...]
    chain: bool


class Cancel(msgspec.Struct, frozen=True):
    """End requests that run.

    Args:
        requests: Their ids.
    """

    requests: tuple[str, ...]


class Interrupt(msgspec.Struct, frozen=True):
    """Ask requests to end in good order: services that nobody needs any more.

    Args:
        requests: Their ids.
    """

    requests: tuple[str, ...]


class Sweep(msgspec.Struct, frozen=True):
    """Delete the files of attempts that do not count any more.

    Args:
        prefixes: What the keys of their files begin with.
    """

    prefixes: tuple[str, ...]


class Delete(msgspec.Struct, frozen=True):
    """Delete global files: the commit that asks for it is decided.

    Args:
        keys: Their keys.
    """

    keys: tuple[str, ...]


class Added(msgspec.Struct, frozen=True):
    """Tell: jobs became known.

    Args:
        names: How many of each name.
    """

    names: dict[str, int]


class Dropped(msgspec.Struct, frozen=True):
    """Tell: all below a checkpoint job was dropped, and that job runs again.

    Args:
        job: The checkpoint job's id.
        name: Its name.
        names: How many jobs of each name are known no more, and how many bodies count no more.
    """

    job: str
    name: str
    names: dict[str, tuple[int, int]]


class Up(msgspec.Struct, frozen=True):
    """Tell: a service is up."""

    job: str
    name: str


class Done(msgspec.Struct, frozen=True):
    """Tell: a job's body ran and its commit counts."""

    job: str
    name: str
    usage: Usage
    requirement: Requirement | None = None


class Failed(msgspec.Struct, frozen=True):
    """Tell: an attempt failed; see `events.AttemptFailed`."""

    job: str
    name: str
    failure: Failure
    final: bool
    tries_left: int
    delay: float
    usage: Usage | None
    instead: str = ""


class Said(msgspec.Struct, frozen=True):
    """Tell: a job had a message for the user."""

    job: str
    name: str
    level: int
    text: str


class Wake(msgspec.Struct, frozen=True):
    """Send `TimePassed` at that time, when nothing else happens before.

    Args:
        at: Seconds since 1970.
    """

    at: float


class Finish(msgspec.Struct, frozen=True):
    """The run is over.

    Args:
        outcome: `succeeded`, `failed` or `interrupted`.
        stuck: Jobs that wait for something that will never come, although nothing failed.
        why: Why it cannot go on, when services keep everything else from running; lines for the user.
    """

    outcome: str
    stuck: tuple[str, ...] = ()
    why: str = ""


Command = Submit | Cancel | Interrupt | Sweep | Delete | Added | Dropped | Up | Done | Failed | Said | Wake | Finish
