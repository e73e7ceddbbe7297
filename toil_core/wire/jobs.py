"""Jobs as the engine sees them: structure and requirements, never a user's object."""

from __future__ import annotations

import msgspec

from toil_core.batch_system import Reason, Requirement

Span = tuple[int, int]
"""Start and stop of some bytes in the payload that belongs to the record."""


class Ref(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Bytes that lie in a blob.

    Args:
        key: The blob's key.
        start: The first byte's place in the blob.
        stop: The place after the last byte.
        crc: The CRC-32 of these bytes.
    """

    key: str
    start: int
    stop: int
    crc: int


class Kind(msgspec.Struct, frozen=True, array_like=True):
    """What jobs of one function and requirement have in common.

    Args:
        name: What people call the job: the function's or class's name.
        requirement: What it needs while it runs.
        isolated: False when it may share a process with other such jobs.
        tries: How many attempts it gets for its own errors; None for the run's default.
        service: Whether it runs beside other jobs until it is asked to end: its first commit says
            that it is up and holds what its users are given, the one after that its end.
        checkpoint: Whether it runs again when something below it fails for good.
        local: Whether it runs on the leader's machine.
    """

    name: str
    requirement: Requirement
    isolated: bool = True
    tries: int | None = None
    service: bool = False
    checkpoint: bool = False
    local: bool = False


class NewJob(msgspec.Struct, frozen=True, array_like=True):
    """A job that a commit, or the user's program, adds to the graph.

    Args:
        id: The job's id.
        kind: Index in the record's table of kinds.
        body: Where the function and its arguments lie in the payload.
        crc: The CRC-32 of the body.
        needs: Ids of the jobs whose values its arguments hold promises of.
        children: Jobs of the same record that run after this one.
        follow_ons: Jobs of the same record that run after this one and all below its children.
        services: Services of the same record that run beside all below this job; of a service, those
            that start after it.
    """

    id: str
    kind: int
    body: Span
    crc: int
    needs: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    follow_ons: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """Why an attempt at a job did not succeed.

    Args:
        reason: The verdict.
        message: The error in one line.
        exit_code: The process's exit code; negative for a signal; None when it lived on.
        log: Key of the attempt's log; empty when nothing was printed.
        tail: The last lines of the log.
        retry: False when another attempt cannot end differently.
    """

    reason: Reason
    message: str
    exit_code: int | None = None
    log: str = ""
    tail: str = ""
    retry: bool = True


class Result(msgspec.Struct, frozen=True, array_like=True):
    """What came of one attempt at a job.

    Args:
        job: The job's id.
        value: Where its return value lies in the payload; empty span when it failed.
        crc: The CRC-32 of the value.
        value_needs: Ids of the jobs whose promises the value holds.
        kinds: The kinds of the new jobs.
        jobs: The new jobs.
        children: New jobs that are this job's children.
        follow_ons: New jobs that are this job's follow-ons.
        deleted: Keys of global files to delete now that this is decided.
        messages: Level and text of what the job told the user.
        failure: None when it succeeded.
        log: Key of the attempt's log when it was kept although it succeeded.
        services: New services that run beside all below this job.
        temporary: Keys of global files to delete when the job and all below it is done, and its value is needed no more.
    """

    job: str
    value: Span = (0, 0)
    crc: int = 0
    value_needs: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    jobs: tuple[NewJob, ...] = ()
    children: tuple[str, ...] = ()
    follow_ons: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    messages: tuple[tuple[int, str], ...] = ()
    failure: Failure | None = None
    log: str = ""
    services: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
