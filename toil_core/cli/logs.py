"""`toil logs`: what jobs printed."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

from toil_core.errors import BadOption
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.monitor.logs import Log, Logs

_CHUNK = 1 << 20


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("job", metavar="JOB", nargs="?", help="A job's id, or its name; without it the jobs that have logs are listed.")
    parser.add_argument("--attempt", metavar="N", help="Which attempt's log: a number from 1, or `all`. [the newest]")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """List logs, or print those of a job.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: There is no such job or attempt.
    """
    from toil_core.monitor.logs import Logs
    from toil_core.plugins import open_job_store
    from toil_core.wire.patient import PatientStore

    if arguments.attempt and not arguments.job:
        raise BadOption("--attempt needs a JOB; `toil logs LOCATOR` lists them")
    with open_job_store(arguments.locator, config) as store:
        logs = Logs(PatientStore(store, seconds=30.0), arguments.locator)
        if arguments.job:
            _print_job(logs, arguments.job, arguments.attempt)
        else:
            _print_list(logs.all())
    return 0


def _print_list(logs: list[Log]) -> None:
    from toil_core.monitor.text import about, table

    if not logs:
        print("no logs: no attempt has failed, and those that succeed leave none unless --write-logs-from-all-jobs is given", file=sys.stderr)
        return
    rows = [(log.name or "-", log.job, str(log.attempt), about(log.size), log.reason or "-") for log in logs]
    print(table(("job", "id", "attempt", "size", "failed by"), rows, right=(2, 3)))


def _print_job(logs: Logs, job: str, attempt: str | None) -> None:
    found = logs.of(job)
    if not found:
        why = logs.failure_text(job)
        print(f"{job} left no log" + (f"; its last attempt: {why}" if why else " so far"), file=sys.stderr)
        return
    chosen = _chosen(found, attempt)
    for log in chosen:
        if len(chosen) > 1:
            print(f"==> attempt {log.attempt} of {log.job} (request {log.request}) <==", flush=True)
        sys.stdout.flush()
        with logs.open(log) as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, _CHUNK)
        sys.stdout.buffer.flush()


def _chosen(found: list[Log], attempt: str | None) -> list[Log]:
    if attempt is None:
        return found[-1:]
    chosen = found if attempt == "all" else [log for log in found if attempt in (str(log.attempt), log.request)]
    if not chosen:
        known = ", ".join(str(log.attempt) for log in found)
        raise BadOption(f"--attempt: {found[0].job} has no log of an attempt {attempt!r}; write `all`, or one of {known}")
    return chosen
