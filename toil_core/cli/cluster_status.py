"""`toil cluster-status`: a cluster's nodes, what they cost, how far a launch is, and what runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.cluster.listing import NodeStatus
    from toil_core.cluster.told import ClusterStatus


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_name(parser)
    add_json(parser)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Tell it.

    Raises:
        UsageError: There is no such cluster.
    """
    from toil_core.cluster.access import open_cloud, open_cluster
    from toil_core.cluster.listing import asked, hourly, node_statuses, phases_of, state_of
    from toil_core.cluster.runs import runs_of
    from toil_core.cluster.state import ClusterState
    from toil_core.cluster.told import ClusterStatus
    from toil_core.errors import ToilError, UsageError
    from toil_core.sync_transport import TransportOptions

    state = ClusterState(arguments.name)
    file = state.read() if state.exists() else None
    journal = state.journal()
    with open_cloud(arguments.name, arguments, config) as cloud:
        nodes = node_statuses(cloud, arguments.name, journal, launching=file is not None and not file.ready)
        price = hourly(cloud.nodes(arguments.name), cloud.catalog())
    if file is None and not nodes:
        raise UsageError(f"there is nothing of a cluster {arguments.name}; `toil list-clusters` lists the clusters")
    runs, trouble = [], ""
    if any(node.state == "up" for node in nodes):
        whom = "the nodes cannot be asked whether they answer"
        try:
            with open_cluster(arguments.name, arguments, config) as cluster:
                nodes = asked(nodes, cluster.transport, cluster.nodes(), cluster.config[TransportOptions].connect_timeout)
                whom = "the leader cannot be asked which runs there are"
                if any(node.role == "leader" and node.state == "up" for node in nodes):
                    runs = runs_of(cluster.transport, cluster.node())
        except ToilError as error:
            trouble = f"{whom}: {error}"
    launch = "" if file is not None and file.ready else phases_of(journal).get("", "")
    provisioner, engine, version = (file.provisioner, file.engine, file.version) if file else (None, None, None)
    told = ClusterStatus(
        arguments.name, state_of(file, [node.role for node in nodes]), provisioner, engine, version, launch, price, nodes, runs, trouble
    )
    if arguments.json:
        print_json(told)
    else:
        print(_text(told))
    return 0


def _text(told: ClusterStatus) -> str:
    from toil_core.monitor.text import span, table

    where = f" on {told.provisioner}, engine {told.engine}" if told.provisioner else ""
    price = "" if told.dollars_an_hour is None else f", {told.dollars_an_hour:.3f} $/h"
    lines = [f"cluster {told.name}{where}: {told.state}{price}"]
    if told.launch:
        lines.append(f"launch: {told.launch}")
    shared = _shared(told.nodes)
    if told.nodes:
        states = [f"{node.state}: {node.why}" if node.why and _reason(node) not in shared else f"{node.state}, see below" if node.why else node.state for node in told.nodes]
        rows = [
            (node.name, f"{node.type}{' (preemptible)' if node.preemptible else ''}", node.address, span(node.age), state)
            for node, state in zip(told.nodes, states, strict=True)
        ]
        lines += ["", table(("node", "type", "address", "age", "state"), rows, right=(3,))]
    if shared:
        lines += ["", *(f"{', '.join(names)}: {reason}" for reason, names in shared.items())]
    if told.runs:
        lines += ["", table(("run", "state", "command"), [(run.id, run.state, run.command) for run in told.runs])]
    if told.trouble:
        what, _, why = told.trouble.partition(": ")
        known = any(node.why == why for node in told.nodes)
        lines += ["", f"{what}: see above" if known else told.trouble]
    return "\n".join(lines)


def _shared(nodes: Sequence[NodeStatus]) -> dict[str, list[str]]:
    """What is wrong with the way to several nodes alike, with their names."""
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.why:
            found.setdefault(_reason(node), []).append(node.name)
    return {reason: names for reason, names in found.items() if len(names) > 1}


def _reason(node: NodeStatus) -> str:
    """What is wrong, without the node of which it is said."""
    return re.sub(rf"^node {re.escape(node.name)}( \([^)]*\))?:? ", "", node.why)
