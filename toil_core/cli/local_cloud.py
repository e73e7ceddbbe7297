"""`toil local-cloud`: what happens to machines in a real cloud, done to nodes of a cluster on this machine."""

from __future__ import annotations

import argparse

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import converter
from toil_core.options import Config, OptionParser
from toil_core.sizes import parse_duration


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("kill", "preempt"), help="Take a node away at once; or one that is preemptible, after notice.")
    parser.add_argument("name", metavar="NAME", help="The cluster.")
    parser.add_argument("node", metavar="NODE", help="The node, worker-1 for example.")
    parser.add_argument("--notice", metavar="SECONDS", type=converter(parse_duration), default=30.0, help="Time between notice and end. [30s]")
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Do it to the node.

    Raises:
        UsageError: There is no such node on this machine, or it is not preemptible.
    """
    from toil_core.cluster.told import TakenAway
    from toil_core.drivers.local import LocalProvisioner

    with LocalProvisioner(config) as cloud:
        if arguments.action == "kill":
            cloud.kill(arguments.name, [arguments.node])
        else:
            cloud.preempt(arguments.name, arguments.node, arguments.notice)
    done = {"kill": "killed", "preempt": "preempted"}[arguments.action]
    if arguments.json:
        print_json(TakenAway(arguments.name, arguments.node, done))
    else:
        print(f"{done} {arguments.node}")
    return 0
