"""`toil scale-cluster`: add workers to a running cluster, or take some away."""

from __future__ import annotations

import argparse

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name, converter, tell
from toil_core.cluster.wanted import parse_offer, parse_workers
from toil_core.options import Config, OptionParser


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    parser.add_argument(
        "--workers", "-w", metavar="N|TYPE=N,…", type=converter(parse_workers), required=True,
        help="How many workers there shall be: N in all, or N of a type, TYPE[:BID]=N, whatever there is of others.",
    )  # fmt: skip
    parser.add_argument(
        "--node-type", "--nodeType", metavar="TYPE[:BID]", type=converter(parse_offer), help="The type of workers to add. [that of most there are]"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Add or remove workers.

    Raises:
        UsageError: There is no such cluster, or what is wanted cannot be had.
    """
    from toil_core.cluster.access import open_cluster
    from toil_core.cluster.scale import scale_cluster

    with open_cluster(arguments.name, arguments, config) as cluster:
        cluster.nodes()  # before a folder is made for the lock: of a cluster that is not there nothing shall be left
        with cluster.state.locked():
            done = scale_cluster(cluster, arguments.workers, arguments.node_type, tell)
    added = [node.name for node in done.add]
    if arguments.json:
        print_json({"name": arguments.name, "added": added, "removed": done.remove})
        return 0
    if not added and not done.remove:
        print(f"cluster {arguments.name} has as many workers already")
    for names, what in ((added, "added"), (done.remove, "removed")):
        if names:
            print(f"{what} {', '.join(names)}")
    return 0
