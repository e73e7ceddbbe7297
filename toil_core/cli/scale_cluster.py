"""`toil scale-cluster`: add workers to a running cluster, or take some away."""

from __future__ import annotations

import argparse

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name, converter, tell
from toil_core.cluster.wanted import ALL, parse_offer, parse_workers
from toil_core.options import Config, OptionParser
from toil_core.sizes import parse_duration
from toil_core.telling import Trouble


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
    parser.add_argument(
        "--drain", metavar="DURATION", type=converter(parse_duration), default=600.0,
        help="How long to wait for the jobs on workers that are removed, which are those with the fewest; what runs longer runs again elsewhere. [10m]",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="If a worker to add fails, add none.")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Add or remove workers.

    Raises:
        UsageError: There is no such cluster, or what is wanted cannot be had.
    """
    from toil_core.cluster.access import open_cluster
    from toil_core.cluster.scale import ONE, scale_cluster
    from toil_core.cluster.told import Scaled

    least = ALL if arguments.strict else ONE
    with open_cluster(arguments.name, arguments, config) as cluster:
        cluster.nodes()  # before a folder is made for the lock: of a cluster that is not there nothing shall be left
        with cluster.state.locked():
            done = scale_cluster(cluster, arguments.workers, arguments.node_type, tell, patience=arguments.drain, least=least)
    if arguments.json:
        print_json(Scaled(arguments.name, done.added, done.failed, done.removed))
        return 0
    if not done.added and not done.removed:
        print(f"cluster {arguments.name} has as many workers already")
    for names, what in ((done.added, "added"), (done.removed, "removed")):
        if names:
            print(f"{what} {', '.join(names)}")
    if done.failed:
        tell(Trouble(f"{', '.join(done.failed)} failed and {'was' if len(done.failed) == 1 else 'were'} removed; the same command tries again"))
    return 0
