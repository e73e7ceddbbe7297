"""`toil status`: how far a workflow is, what failed, and what to do next."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.monitor.status import FailedJob, Status

_SHOWN = 10


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    add_json(parser)
    parser.add_argument("--fail-if-not-complete", "--failIfNotComplete", action="store_true", help="Exit with 1 unless all jobs are done.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print the status.

    Returns:
        0, or 1 when it was asked to fail and not all jobs are done.

    Raises:
        NoSuchJobStore: Nothing is stored there.
    """
    from toil_core.monitor.glance import glance
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    with open_job_store(arguments.locator, config) as store:
        status = glance(watched(store), arguments.locator)
    if arguments.json:
        from msgspec.structs import asdict

        from toil_core.monitor.status import advice

        print_json({**asdict(status), "next": advice(status)})
    else:
        print(text(status))
    return int(arguments.fail_if_not_complete and not status.complete)


def text(status: Status) -> str:
    """The status as people read it."""
    from toil_core.monitor.status import advice

    parts = [
        _head(status),
        _kinds(status),
        _running(status),
        _delayed(status),
        _failures(status),
        "\n".join(f"warning: {trouble}" for trouble in status.corrupt),
        advice(status),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(status: Status) -> str:
    if not status.workflow:
        return f"{status.job_store}: a workflow was about to be started here, but its start was cut short."
    lines = [
        f"workflow {status.name} ({status.workflow[:8]}) on {status.job_store}, begun {_when(status.created)}",
        f"leader:  {_leader(status)}",
    ]
    failed = f", {status.failed:,} failed" if status.failed else ""
    running = f", {status.running:,} running" if status.running else ""
    waiting = f", {status.open - status.running:,} waiting" if status.open > status.running else ""
    lines.append(f"jobs:    {status.done:,} of {status.total:,} done{running}{waiting}{failed}" + ("; complete" if status.complete else ""))
    if status.as_of and status.leader.state in ("running", "unknown"):
        lines.append(f"as of:   {_when(status.as_of)}, when the leader told it last")
    if status.untold:
        lines.append(
            f"         {status.untold:,} of the jobs that are done ended after the leader had last told of itself, and are in no line below"
        )
    return "\n".join(lines)


def _leader(status: Status) -> str:
    leader = status.leader
    where = f"process {leader.pid} on {leader.host}, since {_when(leader.started)}"
    return {
        "none": "there was none yet",
        "running": f"at work: {where}",
        "stopped": f"ended in good order ({where})",
        "dead": f"died before the end ({where})" if leader.host else "not known: its record cannot be read",
        "unknown": f"perhaps at work: {where}; that machine cannot be asked from here",
    }[leader.state]


def _kinds(status: Status) -> str:
    from toil_core.monitor.text import about, span, table

    if not status.kinds:
        return ""
    rows = [
        (k.name, f"{k.total:,}", f"{k.done:,}", f"{k.running:,}", f"{k.waiting:,}", f"{k.failed:,}", span(k.cpu), span(k.wall), about(k.memory) if k.memory else "-")
        for k in status.kinds
    ]  # fmt: skip
    return table(("job", "total", "done", "running", "waiting", "failed", "CPU", "wall", "peak memory"), rows, right=range(1, 9))


def _running(status: Status) -> str:
    from toil_core.monitor.text import span

    lines = ["running:"] if status.running_jobs else []
    for job in status.running_jobs[:_SHOWN]:
        behind = f"; {job.behind:,} more of the same request run after it" if job.behind else ""
        lines.append(f"  {job.name} {job.job} on {job.node or 'a node'} for {span(max(0.0, time.time() - job.since))}{behind}")
    return "\n".join(lines) + _more(len(lines) - 1, status.running)


def _delayed(status: Status) -> str:
    lines = ["to be tried again later:"] if status.delayed else []
    lines += [f"  {job.name} {job.job} after {_when(job.until)}" for job in status.delayed[:_SHOWN]]
    return "\n".join(lines) + _more(len(lines) - 1, len(status.delayed))


def _more(shown: int, all: int) -> str:
    return f"\n  … and {all - shown:,} more" if 0 <= shown < all else ""


def _failures(status: Status) -> str:
    final = [failure for failure in status.failures if failure.final]
    again = [failure for failure in status.failures if not failure.final]
    return "\n\n".join(
        part
        for part in (
            _listed("failed for good:", final, status.failed, status),
            _listed("failed, and to be tried again:", again, len(again), status),
        )
        if part
    )


def _listed(head: str, failures: list[FailedJob], all: int, status: Status) -> str:
    from toil_core.monitor.progress import logs_command, reason_text

    if not failures:
        return ""
    lines = [head]
    for failure in failures[:_SHOWN]:
        lines.append(f"  {failure.name} {failure.job}: {reason_text(failure.reason, failure.message)}")
        if failure.log:
            lines.append(f"    its log: {logs_command(status.job_store, failure.job)}")
    if all > _SHOWN:
        more = f"--json lists {'all' if len(failures) >= all else f'{len(failures):,} of them'}, `toil logs` those with a log"
        lines.append(f"  … and {all - _SHOWN:,} more; {more}")
    return "\n".join(lines)


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
