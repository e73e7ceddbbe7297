"""What there is to tell of clusters: which there are, what they cost, which nodes they have, how far a launch is."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from toil_core.cluster.access import open_cloud
from toil_core.cluster.answering import answers
from toil_core.cluster.state import ClusterFile, ClusterState, Step, known_clusters
from toil_core.errors import ToilError
from toil_core.options import Config
from toil_core.plugins import open_provisioner
from toil_core.provisioner import HasClusters, HasNotices, Node, NodeType, Provisioner
from toil_core.sync_transport import SyncTransport


@dataclass(frozen=True)
class Summary:
    """A cluster in a line.

    Args:
        name: Its name.
        provisioner: Its cloud.
        state: `ready`, `launching`, `launch interrupted`, `leader gone`, `gone`, `elsewhere` when it was not launched from this machine,
            or why the cloud could not be asked.
        nodes: How many nodes it has; None when that is not known.
        price: Dollars an hour; None when that is not known.
    """

    name: str
    provisioner: str
    state: str
    nodes: int | None = None
    price: float | None = None


def known_here(arguments: argparse.Namespace, provisioner: str | None) -> Iterator[Summary]:
    """The clusters that this machine knows.

    Args:
        arguments: The command line.
        provisioner: Only those of this cloud; None for all.
    """
    for file in known_clusters():
        if provisioner in (None, file.provisioner):
            try:
                with open_cloud(file.name, arguments, Config()) as cloud:
                    nodes = list(cloud.nodes(file.name))
                    price = hourly(nodes, cloud.catalog())
            except ToilError as error:
                yield Summary(file.name, file.provisioner, f"unknown: {error}")
                continue
            yield Summary(file.name, file.provisioner, state_of(file, [node.role for node in nodes]), len(nodes), price)


def only_in_cloud(provisioner: str, config: Config, known: Iterable[str]) -> Iterator[Summary]:
    """The clusters that a cloud has and this machine does not know.

    Args:
        provisioner: The cloud.
        config: The options.
        known: The names of those that it knows.
    """
    with open_provisioner(provisioner, config) as cloud:
        if isinstance(cloud, HasClusters):
            for name in sorted(set(cloud.clusters()) - set(known)):
                nodes = list(cloud.nodes(name))
                yield Summary(name, provisioner, "elsewhere", len(nodes), hourly(nodes, cloud.catalog()))


def hourly(nodes: Iterable[Node], catalog: Sequence[NodeType]) -> float | None:
    """What nodes cost, in dollars an hour; None when a price is not known."""
    types = {type.name: type for type in catalog}
    prices = [_price(types.get(node.type), preemptible=node.preemptible) for node in nodes]
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


@dataclass(frozen=True)
class NodeStatus:
    """A node of a cluster.

    Args:
        name: Its name.
        role: `leader` or `worker`.
        type: Its node type's name.
        preemptible: Whether it may be taken away.
        address: Where it is reached.
        age: Seconds since it was launched.
        price: Dollars an hour; None when that is not known.
        state: What it is at: `up`, `unreachable` when it was asked and did not answer, `not asked` when many others did not, the phase of a
            launch, why that failed, or that it will be taken away.
        why: What is wrong with the way to it; empty for nothing.
    """

    name: str
    role: str
    type: str
    preemptible: bool
    address: str
    age: float
    price: float | None
    state: str
    why: str = ""


def node_statuses(cloud: Provisioner, cluster: str, journal: Sequence[Step], *, launching: bool, now: float | None = None) -> list[NodeStatus]:
    """The nodes of a cluster, the leader first.

    Args:
        cloud: Its cloud.
        cluster: Its name.
        journal: What this machine knows of its launch.
        launching: Whether that has not come to its end.
        now: Seconds since 1970; None for the clock.
    """
    now = time.time() if now is None else now
    types = {type.name: type for type in cloud.catalog()}
    notices: Mapping[str, float] = cloud.notices(cluster) if isinstance(cloud, HasNotices) else {}
    at = phases_of(journal)
    found = []
    for node in sorted(cloud.nodes(cluster), key=lambda node: (node.role != "leader", len(node.name), node.name)):
        state = at.get(node.name, "launching") if launching else "up"
        if node.name in notices:
            state = f"taken away in {max(0.0, notices[node.name] - now):.0f} s"
        price = _price(types.get(node.type), preemptible=node.preemptible)
        address = node.public_address or node.private_address
        found.append(NodeStatus(node.name, node.role, node.type, node.preemptible, address, max(0.0, now - node.launched), price, state))
    return found


def asked(statuses: Iterable[NodeStatus], transport: SyncTransport, nodes: Iterable[Node], seconds: float) -> list[NodeStatus]:
    """The same, once all that should be up were asked whether they are.

    Args:
        statuses: As far as the cloud knows.
        transport: The way into the nodes.
        nodes: The nodes.
        seconds: How long one may take to answer.
    """
    statuses = list(statuses)
    up = {status.name for status in statuses if status.state == "up"}
    said = answers(transport, [node for node in nodes if node.name in up], seconds)
    return [replace(status, state=said[status.name].state, why=said[status.name].why) if status.name in said else status for status in statuses]


def phases_of(journal: Iterable[Step]) -> dict[str, str]:
    """By node, and under an empty name for the cluster itself, which phase it is at, or why that failed."""
    found: dict[str, str] = {}
    for step in journal:
        node, _, phase = step.phase.rpartition("/")
        if step.state == "failed":
            found[node] = f"{phase}: {step.message}"
        elif step.state == "started":
            found[node] = phase
        elif phase == "ready":
            found[node] = "up"
    return found


def state_of(file: ClusterFile | None, roles: Sequence[str]) -> str:
    """A cluster's state in a word or two.

    Args:
        file: How it was launched; None when that is not known here.
        roles: Those of the nodes that it has.
    """
    if file is None:
        return "elsewhere"
    if not file.ready:
        return "launching" if ClusterState(file.name).is_at_work() else "launch interrupted"
    return "ready" if "leader" in roles else "leader gone" if roles else "gone"


def _price(type: NodeType | None, *, preemptible: bool) -> float | None:
    return None if type is None else type.spot_price if preemptible else type.price
