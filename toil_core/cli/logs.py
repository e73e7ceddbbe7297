"""`toil logs`: what jobs printed."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.errors import BadOption, UsageError
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.job_store import JobStore
    from toil_core.monitor.logs import Log, Logs

_CHUNK = 1 << 20
_NAMED = 10


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("job", metavar="JOB", nargs="?", help="A job's id, or its name; without it the jobs that have logs are listed.")
    parser.add_argument("--follow", "-f", action="store_true", help="Of a job that runs on this machine, go on until it ends.")
    add_json(parser, "Print JSON instead of text: the list of logs, or of one job with their content.")
    parser.add_argument("--attempt", metavar="N", help="Which attempt's log: a number from 1, or `all`. [the newest]")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """List logs, or print those of a job.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: There is no such job or attempt.
    """
    from toil_core.monitor.logs import Logs
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    if arguments.attempt and not arguments.job:
        raise BadOption("--attempt needs a JOB; `toil logs LOCATOR` lists them")
    if arguments.follow and (not arguments.job or arguments.attempt or arguments.json):
        raise BadOption("--follow needs a JOB, and goes neither with --attempt nor with --json")
    with open_job_store(arguments.locator, config) as inner:
        store = watched(inner)
        logs = Logs(store, arguments.locator)
        if arguments.json:
            _print_json(logs, arguments.job, arguments.attempt)
        elif arguments.follow:
            _follow(store, logs, arguments.job)
        elif arguments.job is not None:
            _print_job(store, logs, arguments.job, arguments.attempt)
        else:
            _print_list(logs.all())
            _print_running(store, logs)
    return 0


def _print_json(logs: Logs, job: str | None, attempt: str | None) -> None:
    from dataclasses import asdict

    found = logs.all() if job is None else _chosen(logs.all(logs.id_of(job)), attempt or "all")
    shown = [asdict(log) for log in found]
    for each, log in zip(shown, found, strict=True):
        if job is not None:
            with logs.open(log) as stream:
                each["text"] = stream.read().decode(errors="replace")
    print_json(shown)


def _follow(store: JobStore, logs: Logs, job: str) -> None:
    """Print what the job prints until it ends; when it does not run any more, its newest log."""
    if not _print_live(store, logs.id_of(job), wait=True):
        print(f"{job} does not run on this machine now", file=sys.stderr)
        _print_job(store, logs, job, None)


def _print_live(store: JobStore, job: str, *, wait: bool) -> bool:
    """Print what a job that runs here has printed; whether it runs here."""
    from toil_core.monitor.live import follow, places

    try:
        place = next((place for place in places(store) if job == next(iter(place.jobs), "")), None)
    except UsageError as error:
        if wait:
            print(f"toil: {error}", file=sys.stderr)
        return False
    if place is None:
        return False
    for part in follow(place, wait=wait):
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    return True


def _print_list(logs: list[Log]) -> None:
    from toil_core.monitor.text import about, table

    if not logs:
        print("no logs: an attempt that succeeds leaves one only with --write-logs-from-all-jobs, and one that prints nothing leaves none", file=sys.stderr)
        return
    rows = [(log.name or "-", log.job, _which(log), about(log.size), log.reason or ("-" if log.counts else "does not count")) for log in logs]
    print(table(("job", "id", "attempt", "size", "failed by"), rows, right=(2, 3)))


def _print_running(store: JobStore, logs: Logs) -> None:
    """Name what runs on this machine, whose output can be seen already."""
    from toil_core.monitor.live import places
    from toil_core.monitor.progress import logs_command
    from toil_core.sizes import count

    try:
        running = [place.jobs[0] for place in places(store) if place.jobs]
    except UsageError:  # no leader works here
        return
    if running:
        shown = ", ".join(f"{logs.name_of(job)} {job}".strip() for job in running[:_NAMED]) + (", …" if len(running) > _NAMED else "")
        follow = f"`{logs_command(logs.locator, running[0])} --follow`"
        print(f"{count(len(running), 'job')} {'runs' if len(running) == 1 else 'run'} on this machine ({shown}); {follow} shows what it prints", file=sys.stderr)


def _which(log: Log) -> str:
    return str(log.attempt) if log.counts else f"{log.attempt} as {log.execution}"


def _print_job(store: JobStore, logs: Logs, job: str, attempt: str | None) -> None:
    from toil_core.monitor.progress import logs_command

    found = logs.of(job)
    if not attempt and _print_live(store, logs.id_of(job), wait=False):
        print(f"{job} runs; this is what it printed so far (--follow goes on)", file=sys.stderr)
        return
    if not found:
        why, node = logs.failure_text(job), logs.node_of(job)
        place = f"; it runs on {node}, where `{logs_command(logs.locator, job)} --follow` shows what it prints" if node else ""
        print(f"{job} left no log" + (f"; its last attempt: {why}" if why else " so far") + place, file=sys.stderr)
        return
    chosen = _chosen(found, attempt)
    if len(chosen) > 1 and attempt != "all":
        chosen, others = chosen[:1], chosen[1:]
        _tell_others(chosen[0], [log.execution for log in others])
    for log in chosen:
        if len(chosen) > 1:
            which = f"request {log.request}" if log.counts else f"{log.execution}, which does not count"
            print(f"==> attempt {log.attempt} of {log.job} ({which}) <==", flush=True)
        sys.stdout.flush()
        with logs.open(log) as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer, _CHUNK)
        sys.stdout.buffer.flush()


def _tell_others(shown: Log, others: list[str]) -> None:
    which = "this is the log of the execution that counts" if shown.counts else f"it is not known which counts, this is the log of {shown.execution}"
    print(f"attempt {shown.attempt} of {shown.job} ran more than once; {which} (--attempt {' or '.join([*others, 'all'])} shows others)", file=sys.stderr)


def _chosen(found: list[Log], attempt: str | None) -> list[Log]:
    """The logs of one attempt, or of all; first the one that counts."""
    if not found:
        return []
    wanted = str(found[-1].attempt) if attempt is None else attempt
    chosen = found if wanted == "all" else [log for log in found if wanted in (str(log.attempt), log.request, log.execution)]
    if wanted != "all":
        chosen.sort(key=lambda log: not log.counts)
    if not chosen:
        known = ", ".join(dict.fromkeys(str(log.attempt) for log in found))
        raise BadOption(f"--attempt: {found[0].job} has no log of an attempt {attempt!r}; write `all`, or one of {known}")
    return chosen
