"""What the workflows came to that this process ran, for `toil run --json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from toil_core.events import Event, RunEnded, RunStarted


class RunTally(msgspec.Struct):
    """One run of a workflow. Called with each of the leader's events.

    Args:
        job_store: The locator.
        workflow: The workflow's id; empty when nothing was to be run.
        restarted: Whether an earlier leader worked on it.
        state: `succeeded`, `failed`, `interrupted`, or `refused` when nothing ran.
        total: Jobs known.
        done: Jobs whose bodies ran, those of earlier leaders among them.
        failed: Jobs that failed for good.
        seconds: How long it took.
        value: What it returned; files that were exported by their paths. What JSON cannot say is its `repr`.
    """

    job_store: str
    workflow: str = ""
    restarted: bool = False
    state: str = "refused"
    total: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    value: Any = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.workflow, self.restarted, self.total, self.done = event.workflow, event.restarted, event.total, event.done
        elif isinstance(event, RunEnded):
            self.total, self.done, self.failed = event.total, event.done, event.failed


_collected: list[RunTally] | None = None


@contextmanager
def collecting() -> Iterator[list[RunTally]]:
    """Gives the list in which every run of this process appears while it is open."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before


@contextmanager
def tallied(job_store: str, *, restarted: bool) -> Iterator[RunTally]:
    """The tally of a run while it lasts.

    Args:
        job_store: The locator.
        restarted: Whether it goes on with what an earlier leader began.
    """
    tally, began = RunTally(job_store, restarted=restarted), time.monotonic()
    if _collected is not None:
        _collected.append(tally)
    try:
        yield tally
    finally:
        tally.seconds = round(time.monotonic() - began, 3)


def returned(value: Any) -> None:
    """The newest run returned this; it is kept only while runs are collected.

    Args:
        value: Any value.
    """
    if _collected:
        _collected[-1].value = plain(value)


def plain(value: Any) -> Any:
    """The value as JSON can say it, or else its `repr`.

    Args:
        value: Any value.
    """
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_struct))
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _struct(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    raise TypeError
