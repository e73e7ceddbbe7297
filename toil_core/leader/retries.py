"""Whether, when and with what a failed job is tried again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from toil_core.batch_system import Reason
from toil_core.wire.jobs import Failure, Kind

FREE = frozenset({Reason.NODE_LOST, Reason.PREEMPTED, Reason.CANCELLED})
"""Reasons that are nobody's fault: they use up no try."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a run treats failures.

    Args:
        tries: Attempts a job gets for reasons of its own.
        by_reason: Attempts it gets when the last one failed for this reason, where that differs.
        backoff: Seconds before the second attempt.
        backoff_factor: By how much the wait grows with each further attempt.
        losses: How often a job may go down with its node before it is suspected itself.
        memory_factor: By how much memory grows after an attempt ran out of it.
        max_memory: Bytes beyond which memory does not grow; None when unknown.
        time_factor: By how much the time limit grows after an attempt did not end in it.
        max_wall_time: Seconds beyond which the time limit does not grow; None for no end.
        stop_on_failure: Whether the first final failure stops the run.
    """

    tries: int = 2
    backoff: float = 2.0
    backoff_factor: float = 3.0
    losses: int = 20
    memory_factor: float = 2.0
    max_memory: int | None = None
    time_factor: float = 2.0
    max_wall_time: float | None = None
    by_reason: Mapping[Reason, int] = field(default_factory=dict)
    stop_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the job.

    Args:
        again: Whether it is tried again.
        delay: Seconds to wait before that.
        charged: Whether the failed attempt used up a try.
        left: How many tries for its own errors are left.
        kind: With which kind, that is requirement, it is tried again.
    """

    again: bool
    delay: float
    charged: bool
    left: int
    kind: Kind


def judge(kind: Kind, tries: int, losses: int, failure: Failure, policy: Policy) -> Verdict:
    """Decide about a job whose attempt has just failed.

    Args:
        kind: The job's kind.
        tries: Tries used up before this attempt.
        losses: Earlier attempts that ended for reasons that are nobody's fault.
        failure: How this attempt failed.
        policy: The run's rules.
    """
    allowed = policy.by_reason.get(failure.reason, policy.tries) if kind.tries is None else kind.tries
    if failure.reason is Reason.CANCELLED:
        return Verdict(True, 0.0, False, allowed - tries, kind)
    if failure.reason in FREE:
        again = losses < policy.losses
        return Verdict(again, 0.0, False, allowed - tries if again else 0, kind)
    left = allowed - tries - 1
    if failure.reason is Reason.TOO_BIG or not failure.retry or left <= 0:
        return Verdict(False, 0.0, True, 0, kind)
    if failure.reason is Reason.OUT_OF_MEMORY:
        return Verdict(True, 0.0, True, left, _with_more_memory(kind, policy))
    if failure.reason is Reason.OVER_TIME:
        return Verdict(True, 0.0, True, left, _with_more_time(kind, policy))
    return Verdict(True, policy.backoff * policy.backoff_factor**tries, True, left, kind)


def _with_more_memory(kind: Kind, policy: Policy) -> Kind:
    memory = max(kind.requirement.memory, int(kind.requirement.memory * policy.memory_factor))
    if policy.max_memory is not None:
        memory = max(kind.requirement.memory, min(memory, policy.max_memory))
    return msgspec.structs.replace(kind, requirement=replace(kind.requirement, memory=memory))


def _with_more_time(kind: Kind, policy: Policy) -> Kind:
    given = kind.requirement.wall_time
    if given is None:  # the batch system's own limit ended it
        return kind
    seconds = max(given, given * policy.time_factor)
    if policy.max_wall_time is not None:
        seconds = max(given, min(seconds, policy.max_wall_time))
    return msgspec.structs.replace(kind, requirement=replace(kind.requirement, wall_time=seconds))
