"""`toil ssh-cluster`: a shell on a cluster's leader, or one command there."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, ExitStack

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name, add_rest, converter, tell
from toil_core.errors import BadOption, UsageError
from toil_core.options import Config, OptionParser
from toil_core.provisioner import Node
from toil_core.sync_transport import CanForward, SyncTransport, parse_port


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    parser.add_argument("--node", metavar="NODE", default="leader", help="Another node than the leader.")
    parser.add_argument(
        "--forward", metavar="PORT", action="append", default=[], type=converter(parse_port),
        help="Make a port of the node answer on this machine until the command ends; may be repeated.",
    )  # fmt: skip
    add_json(parser, "Print JSON: what the command wrote, and its exit code. It is given no input.")
    add_rest(parser, "command", "What to run there; one word with spaces is a line for a shell; without it, a shell to type in. Exits with its exit code.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Run the command.

    Returns:
        Its exit code.

    Raises:
        UsageError: There is no such cluster or node, or it cannot be reached in this way.
    """
    from toil_core.cluster.access import open_cluster, words
    from toil_core.cluster.layout import as_of_a_shell, in_cluster
    from toil_core.cluster.told import Ran
    from toil_core.sync_transport import HasShell

    command = as_of_a_shell(words(arguments.command))
    if command and not command[0]:
        raise BadOption(f"an empty text is no command; without a command `toil ssh-cluster {arguments.name}` is a shell")
    if arguments.json and not command:
        raise BadOption(f"--json needs a command: toil ssh-cluster {arguments.name} --json COMMAND")
    with open_cluster(arguments.name, arguments, config) as cluster, ExitStack() as stack:
        node = cluster.node(arguments.node)
        transport = cluster.transport
        for port in arguments.forward:
            tell(f"port {port} of {node.name} answers on localhost:{stack.enter_context(_forward(cluster.transport, node, port))}")
        if arguments.json:
            done = transport.run(node, in_cluster(command))
            written = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
            print_json(Ran(arguments.name, node.name, done.returncode, *written))
            return done.returncode
        if not isinstance(transport, HasShell):
            raise UsageError("this transport has no shell; choose another by --transport")
        return transport.shell(node, in_cluster(command))


def _forward(transport: SyncTransport, node: Node, port: int) -> AbstractContextManager[int]:
    if not isinstance(transport, CanForward):
        raise UsageError("this transport forwards no ports; choose another by --transport")
    return transport.forward(node, port)
