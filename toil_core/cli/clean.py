"""`toil clean`: remove job stores, and nothing else."""

from __future__ import annotations

import argparse
import sys

from toil_core.cli import guarded
from toil_core.errors import LeaderRunning
from toil_core.job_store import JobStore
from toil_core.options import Config, OptionParser


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locators", metavar="LOCATOR", nargs="+", help="A job store.")
    parser.add_argument("--dry-run", action="store_true", help="Say what would be removed, and remove nothing.")
    parser.add_argument(
        "--force", "--yes", action="store_true",
        help="Remove it although its leader may still work on a machine that cannot be asked; one that is known to be at work is never disturbed.",
    )  # fmt: skip


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Remove each job store; one that cannot be removed does not keep the others.

    Returns:
        0, or the greatest exit code that any of them came to.
    """
    from toil_core.plugins import open_job_store
    from toil_core.wire.patient import PatientStore

    def one(locator: str) -> int:
        with open_job_store(locator, config) as store:
            clean(PatientStore(store), locator, dry_run=arguments.dry_run, force=arguments.force)
        return 0

    return max(guarded(lambda locator=locator: one(locator)) for locator in arguments.locators)  # type: ignore[misc]


def clean(store: JobStore, locator: str, *, dry_run: bool = False, force: bool = False) -> None:
    """Remove a job store, whole or half made, and say on standard output what went.

    Args:
        store: The job store.
        locator: What the user calls it.
        dry_run: Whether only to say what would go.
        force: Whether to go on although the leader may be at work on a machine that cannot be asked.

    Raises:
        LeaderRunning: A leader is, or may be, at work; nothing was removed.
        NotAJobStore: Something else is there; nothing was removed.
    """
    from toil_core.monitor.text import about, count

    refuse_if_led(store, locator, force=force)
    blobs = size = 0
    for blob in store.list():
        blobs += 1
        size += blob.size
    if not dry_run:
        store.destroy()
    if blobs:
        print(f"{'would remove' if dry_run else 'removed'} {locator}: {count(blobs, 'blob')}, {about(size)}")
    else:
        rest = "" if dry_run else "; if one was being made, what there was of it is gone"
        print(f"toil: warning: there is no job store with anything in it at {locator}{rest}", file=sys.stderr)


def refuse_if_led(store: JobStore, locator: str, *, force: bool) -> None:
    """Make sure that nobody works on the job store.

    Raises:
        LeaderRunning: Somebody does, or may.
    """
    from toil_core.monitor.status import leader_status

    leader = leader_status(store)
    where = f"process {leader.pid} on {leader.host}"
    if leader.state == "running":
        raise LeaderRunning(f"a leader works on {locator} ({where}), so it is not removed; end that first: kill {leader.pid}")
    if leader.state == "unknown" and not force:
        raise LeaderRunning(f"a leader may still work on {locator} ({where}); when you know that it has ended, add --force")
