"""`toil kill`: end a run, with all its workers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import converter
from toil_core.locators import quoted
from toil_core.options import Config, OptionParser
from toil_core.sizes import parse_duration

if TYPE_CHECKING:
    from toil_core.monitor.kill import Killed


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("--force", action="store_true", help="End the leader at once instead of asking it to stop in good order.")
    parser.add_argument("--timeout", metavar="SECONDS", type=converter(parse_duration), default=60.0, help="How long to wait for its end. [60]")
    add_json(parser)
    parser.epilog = "exit codes: 0 when nothing runs any more or the leader was asked through the job store, 1 when it still runs, 2 for no such run."


def run(arguments: argparse.Namespace, config: Config) -> int:
    """End the run.

    Returns:
        0, or 1 when the leader did not end in time.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: `--force` was given, and the leader can only be reached through the store.
    """
    from toil_core.monitor.kill import kill
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    with open_job_store(arguments.locator, config) as store:
        killed = kill(watched(store), arguments.locator, force=arguments.force, seconds=arguments.timeout)
    if arguments.json:
        print_json(killed)
    else:
        print(text(killed, arguments.locator))
    return int(killed.fate == "lives")


def text(killed: Killed, locator: str) -> str:
    """What became of the run, as people read it."""
    where = f"process {killed.pid} on {killed.host}"
    return {
        "ended": f"ended the run on {locator} ({where}); it can be gone on with by --restart",
        "over": f"nothing runs on {locator}" + (f"; its last leader ({where}) has ended" if killed.pid else ""),
        "asked": f"asked the leader ({where}) to end; it looks for that now and then (its option --kill-check-interval); see `toil status {quoted(locator)}`",
        "lives": f"the leader ({where}) was told to end and still runs; wait, or end it at once with `toil kill --force {quoted(locator)}`",
    }[killed.fate]
