"""`toil rsync-cluster`: rsync to a cluster's leader, or from it."""

from __future__ import annotations

import argparse
import os

from toil_core.cli.as_json import add_json, print_json, stdout_on_stderr
from toil_core.cluster.arguments import add_name, add_rest
from toil_core.errors import UsageError
from toil_core.options import Config, OptionParser

_OURS = ("--json", "--log-level", "--node", "--provisioner", "--transport")
"""Options of ours that a user may well put behind the name, and that rsync has not."""


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    parser.add_argument("--node", metavar="NODE", default="leader", help="Another node than the leader.")
    add_json(parser, "Print JSON: the node and the exit code; what rsync says goes to standard error then. Stands before NAME.")
    add_rest(parser, "arguments", "What rsync takes; paths on the node begin with a colon. Our own options stand before NAME.", peel=False)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Run rsync.

    Returns:
        Its exit code.

    Raises:
        UsageError: Not one side alone is on the node, rsync is told another way to it or is not here, there is no such cluster or node, or it cannot be reached in this way.
    """
    from toil_core.cluster.access import open_cluster, words
    from toil_core.cluster.rsync_words import names_shell, options_with_values, paths, with_values
    from toil_core.cluster.told import Copied
    from toil_core.sync_transport import CanRsync, TransportOptions

    options = options_with_values()
    given = with_values(words(arguments.arguments), options)
    for flag in _OURS:
        if any(word == flag or word.startswith(f"{flag}=") for word in given):
            raise UsageError(f"{flag} is for toil and not for rsync, so it stands before the cluster's name: toil rsync-cluster {flag} … {arguments.name} …")
    if names_shell(given, options):
        raise UsageError(
            "rsync's -e (--rsh) would go another way than toil's, without the node's pinned key; what ssh shall do otherwise stands before the cluster's "
            f"name: toil rsync-cluster --ssh-port 2222 {arguments.name} …, or --ssh-user, --ssh-identity, --ssh-jump, --ssh-option"
        )
    found = paths(given)
    remote = [word.startswith(":") for word in found]
    if not any(remote):
        raise UsageError(f"no path of these is on the cluster; one on the leader begins with a colon: toil rsync-cluster {arguments.name} -a data/ :data/")
    if all(remote[-2:]) or (remote[-1] and any(remote[:-1])):
        raise UsageError("both sides are on the cluster; one must be here, without a colon (`toil ssh-cluster` copies from node to node)")
    for path in found:
        if ":" in path.partition("/")[0] and os.path.exists(path):
            raise UsageError(f"{path}: rsync takes what stands before a colon for the name of a host; write ./{path}")
    with open_cluster(arguments.name, arguments, config) as cluster:
        node = cluster.node(arguments.node)
        if not isinstance(cluster.transport, CanRsync):
            raise UsageError(
                f"rsync cannot go through the transport {cluster.config[TransportOptions].transport}; take another, which has to be installed here: "
                f"toil rsync-cluster --transport ssh {arguments.name} …"
            )
        with stdout_on_stderr(active=arguments.json):
            code = cluster.transport.rsync(node, given)
        if arguments.json:
            print_json(Copied(arguments.name, node.name, code))
        return code
