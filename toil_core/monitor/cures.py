"""What to do about a job that failed for good, by the reason of its last attempt."""

from __future__ import annotations

from toil_core.batch_system import Reason, Requirement
from toil_core.leader.retries import FREE
from toil_core.monitor.text import about, span
from toil_core.wire.jobs import Failure

_AGAIN = "go on with --restart"


def final(failure: Failure | None, tries: int) -> str:
    """How it came that the job is not tried again, in words that follow its name.

    Args:
        failure: Why its last attempt failed.
        tries: How many attempts counted; 0 when that is not known.
    """
    if failure is None or (failure.retry and failure.reason not in (Reason.TOO_BIG, *FREE) and not tries):
        return "failed for good"
    if failure.reason is Reason.TOO_BIG:
        return "can never run"
    if failure.reason in FREE:
        return "failed for good, as it lost its node too often (--max-node-losses)"
    if not failure.retry:
        return "failed for good, as another try would end the same way"
    return f"failed for good; {'its only try is' if tries == 1 else f'all its {tries} tries are'} used up"


def cure(failure: Failure | None, asked: Requirement) -> str:
    """What to do so that it goes on.

    Args:
        failure: Why its last attempt failed.
        asked: What the job asked for.
    """
    reason = failure.reason if failure else None
    if reason is Reason.TOO_BIG:
        return f"let it ask for less, or use larger machines; then {_AGAIN}"
    if reason is Reason.OUT_OF_MEMORY:
        return f"let it ask for more memory than {about(asked.memory)} (`toil stats` tells what others used); then {_AGAIN}"
    if reason is Reason.OVER_TIME and asked.wall_time is not None:
        return f"let it ask for more time than {span(asked.wall_time)}; then {_AGAIN}"
    if reason is Reason.OUT_OF_DISK:
        return f"make room, or choose another place with --work-dir; then {_AGAIN}"
    if reason in (Reason.NODE_LOST, Reason.PREEMPTED):
        return f"{_AGAIN}; where nodes are often taken away, make such jobs shorter or not preemptible, or raise --max-node-losses"
    return f"when the cause is gone, {_AGAIN}, which gives it new tries"
