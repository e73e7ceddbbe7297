"""`toil attach`: see a run that was submitted to a cluster."""

from __future__ import annotations

import argparse
import sys

from toil_core.cli.as_json import add_json, print_json, stdout_on_stderr
from toil_core.cluster.arguments import add_name
from toil_core.errors import UsageError
from toil_core.options import Config, OptionParser


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    parser.add_argument("run", metavar="RUN", nargs="?", help="What `toil submit` printed. [the newest run]")
    parser.add_argument(
        "--follow", "-f", action="store_true",
        help="Print what it says until it ends, and exit with its exit code, as is done without a terminal; else the terminal is attached to its session.",
    )  # fmt: skip
    add_json(parser, "As --follow, with what it says on standard error; then print JSON: the run, and its exit code.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Show it.

    Returns:
        The exit code of the run, when it has ended.

    Raises:
        UsageError: There is no such cluster or run.
    """
    from toil_core.cluster import runs
    from toil_core.cluster.access import open_cluster
    from toil_core.sync_transport import HasShell

    with open_cluster(arguments.name, arguments, config) as cluster:
        node = cluster.node()
        known = runs.runs_of(cluster.transport, node)
        id = runs.check_id(arguments.run) if arguments.run else runs.newest(known, arguments.name).id
        if id not in {each.id for each in known}:
            raise UsageError(f"cluster {arguments.name} has no run {id}; it has {', '.join(each.id for each in known) or 'none'}")
        if not isinstance(cluster.transport, HasShell):
            raise UsageError("this transport has no shell; choose another by --transport")
        if arguments.json:
            with stdout_on_stderr():
                code = cluster.transport.shell(node, runs.follow(id))
            ended = next(each for each in runs.runs_of(cluster.transport, node) if each.id == id)
            print_json(ended)
            return code
        shown = arguments.follow or not (sys.stdin.isatty() and sys.stdout.isatty())
        return cluster.transport.shell(node, runs.follow(id) if shown else runs.attach(id))
