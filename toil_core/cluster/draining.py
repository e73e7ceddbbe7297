"""What runs on the nodes of a cluster, and letting it come to its end before they go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from toil_core.cluster.access import Cluster
from toil_core.cluster.layout import BUSY, DRAIN, STOP
from toil_core.cluster.phases import MOST
from toil_core.errors import ToilError
from toil_core.provisioner import Node
from toil_core.telling import Trouble

UNREACHABLE = -1
"""In the place of a number of requests: the node does not answer."""
_ANSWER = 60.0
_STOP = 60.0
"""Seconds that an engine's program may take to end in good order."""


def loads(cluster: Cluster, nodes: Iterable[Node]) -> dict[str, int]:
    """By name, how many requests, each of one job or several, run on nodes; `UNREACHABLE` for those that do not answer.

    Args:
        cluster: The cluster.
        nodes: The nodes.
    """

    def ask(node: Node) -> tuple[str, int]:
        try:
            said = cluster.transport.run(node, ["sh", "-c", BUSY], timeout=_ANSWER).stdout.strip()
        except ToilError:
            return node.name, UNREACHABLE
        return node.name, int(said) if said.isdigit() else UNREACHABLE

    with ThreadPoolExecutor(MOST) as pool:
        return dict(pool.map(ask, nodes))


def drain(cluster: Cluster, nodes: Sequence[Node], seconds: float, tell: Callable[[str], None]) -> None:
    """Have nothing more started on nodes, wait for what runs there, and end their engine's program.

    Args:
        cluster: The cluster.
        nodes: The nodes; one that does not answer goes without.
        seconds: For how long to wait for jobs.
        tell: Shows a line to the user.
    """

    def one(node: Node) -> None:
        try:
            left = cluster.transport.run(node, ["sh", "-c", DRAIN, "sh", f"{seconds:g}"], timeout=seconds + _ANSWER).stdout.strip()
            if left.isdigit() and int(left):
                tell(Trouble(f"{node.name} goes although something still runs there; that is run again elsewhere, and costs no try"))
            cluster.transport.run(node, ["sh", "-c", STOP], timeout=_STOP)
        except ToilError as error:
            tell(Trouble(f"{node.name} goes without a good-bye: {error}"))

    with ThreadPoolExecutor(MOST) as pool:
        list(pool.map(one, nodes))
