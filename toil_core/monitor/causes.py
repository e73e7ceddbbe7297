"""What explanations are made of."""

from __future__ import annotations

import msgspec

from toil_core.leader.state import JobState


class Cause(msgspec.Struct, frozen=True):
    """One step on the way to the cause.

    Args:
        what: What it is, for programs: `done`, `running`, `waits for job`, `waits for jobs below`, `waits for value`,
            `waits for service`, `waits for services`, `waits for room`, `waits for leader`, `delayed`, `too big`, `failed`,
            `leader`, `stopping`, `complete`, `half made`, `unreachable`.
        text: The same for people.
        job: The job that it speaks of; empty when it speaks of the run.
        advice: What to do about it; empty when that is told by a later step.
    """

    what: str
    text: str
    job: str = ""
    advice: str = ""


def name_of(job: JobState) -> str:
    """The job as people read of it."""
    return f"{job.kind.name} {job.id}"
