"""`toil why`: why nothing, or a job, is running, and what to do about it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.monitor.causes import Cause


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("job", metavar="JOB", nargs="?", help="A job's id, or its name; without it, why nothing (more) is running.")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print the causes, from what was asked about down to the root.

    Returns:
        0, or 1 when the job store cannot be reached, which is a cause too.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: There is no such job, or several have the name.
    """
    from toil_core.errors import Transient
    from toil_core.monitor.causes import Cause
    from toil_core.monitor.why import why_job, why_run
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    locator, code = arguments.locator, 0
    try:
        with open_job_store(locator, config) as inner:
            store = watched(inner)
            causes = why_job(store, locator, arguments.job) if arguments.job is not None else why_run(store, locator)
    except Transient as error:
        advice = "look at the network and at the service; a leader at work waits for it, and goes on by itself"
        causes, code = [Cause("unreachable", f"the job store cannot be reached: {error}", advice=advice)], 1
    if arguments.json:
        print_json(causes)
    else:
        print(text(causes))
    return code


def text(causes: list[Cause]) -> str:
    """The causes as people read them."""
    lines = []
    for cause in causes:
        lines.append(f"{cause.text}.")
        if cause.advice:
            lines.append(f"  What to do: {cause.advice.rstrip('.')}.")
    return "\n".join(lines)
