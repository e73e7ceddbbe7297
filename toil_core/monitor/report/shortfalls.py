"""The attempts that did not succeed, as far as a report lists them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import msgspec

from toil_core.monitor.progress import logs_command
from toil_core.monitor.report.rows import Rows
from toil_core.monitor.status import FailedJob, Status

LISTED = 200
"""Of failed attempts, so many are listed one by one."""
_ORDER = ("failed", "open", "done")
"""Fates, what matters most first."""


class Shortfall(msgspec.Struct, frozen=True):
    """An attempt that did not succeed.

    Args:
        job: The job's id.
        name: The job's name.
        attempt: Which attempt.
        fate: What came of the job: `failed`, `open` or `done`.
        reason: Why the attempt did not succeed.
        message: The error in a line; empty when it is not kept.
        exit_code: Of its process; None when it is not known.
        node: Where it ran.
        wall: Seconds it took.
        log: The command that shows its log; empty when there is none.
        tail: The last lines of the log, when they are kept.
    """

    job: str
    name: str
    attempt: int
    fate: str
    reason: str
    message: str
    exit_code: int | None
    node: str
    wall: float
    log: str
    tail: str


def shortfalls(status: Status, rows: Rows, order: Sequence[int]) -> list[Shortfall]:
    """The attempts to list, what matters most first.

    Args:
        status: How far the workflow is.
        rows: All attempts.
        order: The rows by their start.
    """
    return heapq.nsmallest(LISTED, _all(status, rows, order), key=lambda item: (_ORDER.index(item.fate), not item.message))


def _all(status: Status, rows: Rows, order: Sequence[int]) -> Iterator[Shortfall]:
    known = {failure.job: failure for failure in status.failures}
    failed = [row for row in order if rows.outcome[row]]
    newest = {rows.job[row]: row for row in failed}
    done = {job for job, outcome in zip(rows.job, rows.outcome, strict=True) if not outcome and job in newest}
    for row in failed:
        job = rows.job[row]
        fate = "failed" if job in known and known[job].final else "done" if job in done else "open"
        yield _shortfall(rows, row, fate, known.get(job) if newest[job] == row else None, status.job_store)
    for failure in status.failures:
        if failure.job not in newest:  # its first attempt is not recorded yet
            yield Shortfall(
                failure.job, failure.name, 0, "failed" if failure.final else "open", failure.reason, failure.message, failure.exit_code, "", 0.0,
                logs_command(status.job_store, failure.job) if failure.log else "", failure.tail,
            )  # fmt: skip


def _shortfall(rows: Rows, row: int, fate: str, failure: FailedJob | None, locator: str) -> Shortfall:
    job = rows.job[row]
    log = failure.log if failure else rows.log.get(row, "")
    command = logs_command(locator, job) if log else ""
    if log and failure is None:
        command += f" --attempt {log.rpartition('/')[2]}"
    return Shortfall(
        job, rows.names.entries[rows.name[row]], rows.attempt[row], fate, rows.outcomes.entries[rows.outcome[row]],
        failure.message if failure else "", failure.exit_code if failure else None, rows.nodes.entries[rows.node[row]], rows.wall[row], command,
        failure.tail if failure else "",
    )  # fmt: skip
