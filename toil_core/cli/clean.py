"""`toil clean`: remove job stores, and nothing else."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from itertools import islice

from toil_core.cli import guarded
from toil_core.errors import LeaderRunning, NoSuchJobStore, UsageError
from toil_core.job_store import JobStore
from toil_core.locators import quoted
from toil_core.options import Config, OptionParser

COUNTED = 10_000
"""So many blobs are counted before they are removed; of more only that is said."""


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locators", metavar="LOCATOR", nargs="+", help="A job store.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text: an object on a line for each.")
    parser.add_argument("--dry-run", action="store_true", help="Say what would be removed, and remove nothing.")
    parser.add_argument(
        "--force", "--yes", action="store_true",
        help="Remove it although its leader may still work on a machine that cannot be asked, or its records cannot be read; one that is known to be at work is never disturbed.",
    )  # fmt: skip


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Remove each job store; one that cannot be removed does not keep the others.

    Returns:
        0, or the greatest exit code that any of them came to.
    """
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    def one(locator: str) -> int:
        with open_job_store(locator, config) as store:
            cleaned = clean(watched(store), locator, dry_run=arguments.dry_run, force=arguments.force)
        _tell(cleaned, json=arguments.json, dry_run=arguments.dry_run)
        return 0

    return max(guarded(lambda locator=locator: one(locator)) for locator in arguments.locators)  # type: ignore[misc]


@dataclass(frozen=True)
class Cleaned:
    """What was, or would be, removed.

    Args:
        locator: What the user calls it.
        removed: Whether blobs were removed; not so when there were none.
        blobs: How many blobs there were.
        bytes: How much they held.
        more: Whether there were more than were counted.
    """

    locator: str
    removed: bool
    blobs: int
    bytes: int
    more: bool


def clean(store: JobStore, locator: str, *, dry_run: bool = False, force: bool = False) -> Cleaned:
    """Remove a job store, whole or half made.

    Args:
        store: The job store.
        locator: What the user calls it.
        dry_run: Whether only to say what would go; everything is counted then, else no more than `COUNTED`.
        force: Whether to go on although the leader may be at work on a machine that cannot be asked.

    Raises:
        LeaderRunning: A leader is, or may be, at work; nothing was removed.
        NotAJobStore: Something else is there; nothing was removed.
    """
    from toil_core.wire.patient import PatientStore

    refuse_if_led(store, locator, force=force)
    found = iter((store.inner if isinstance(store, PatientStore) else store).list())  # one at a time: there may be millions
    blobs = size = 0
    for blob in found if dry_run else islice(found, COUNTED):
        blobs += 1
        size += blob.size
    more = next(found, None) is not None
    if not dry_run:
        if more:
            told = f"more than {COUNTED:,} blobs, which takes a while; when it is interrupted, the same command goes on with it"
            print(f"toil: removing {locator}: {told}", file=sys.stderr, flush=True)
        store.destroy()
    return Cleaned(locator, blobs > 0 and not dry_run, blobs, size, more)


def _tell(cleaned: Cleaned, *, json: bool, dry_run: bool) -> None:
    from toil_core.monitor.text import about
    from toil_core.sizes import count

    if json:
        from json import dumps

        print(dumps(asdict(cleaned)))
    elif cleaned.blobs:
        least = "at least " if cleaned.more else ""
        doing = "removed" if cleaned.removed else "would remove"
        print(f"{doing} {cleaned.locator}: {least}{count(cleaned.blobs, 'blob')}, {least}{about(cleaned.bytes)}")
    else:
        rest = "; if one was being made, what there was of it is gone" if not dry_run else ""
        print(f"toil: warning: there is no job store with anything in it at {cleaned.locator}{rest}", file=sys.stderr)


def refuse_if_led(store: JobStore, locator: str, *, force: bool) -> None:
    """Make sure that nobody works on the job store; one that cannot be read has to be forced.

    Raises:
        LeaderRunning: Somebody does, or may.
    """
    from toil_core.monitor.status import leader_status

    try:
        leader = leader_status(store)
    except UsageError as error:
        if not force or isinstance(error, NoSuchJobStore):
            raise
        return  # what keeps us from reading it, a key that is lost for example, may not keep us from removing it
    where = f"process {leader.pid} on {leader.host}"
    if leader.state == "running":
        raise LeaderRunning(f"a leader works on {locator} ({where}), so it is not removed; end that first: toil kill {quoted(locator)}")
    if leader.state == "unknown" and not force:
        raise LeaderRunning(f"a leader may still work on {locator} ({where}); when you know that it has ended, add --force")
