"""`toil cluster-status`: a cluster's nodes, what they cost, how far a launch is, and what runs."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from toil_core.cli.as_json import add_json, print_json
from toil_core.cluster.arguments import add_name
from toil_core.options import Config, OptionParser


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
    told = {
        "name": arguments.name, "state": state_of(file, [node.role for node in nodes]), "provisioner": file.provisioner if file else None, "engine": file.engine if file else None,
        "version": file.version if file else None, "launch": phases_of(journal).get("", ""), "dollars_an_hour": price,
        "nodes": [asdict(node) for node in nodes], "runs": [asdict(each) for each in runs], "trouble": trouble,
    }  # fmt: skip
    if arguments.json:
        print_json(told)
    else:
        print(_text(told))
    return 0


def _text(told: dict[str, object]) -> str:
    from toil_core.monitor.text import span, table

    nodes: list[dict[str, object]] = told["nodes"]  # type: ignore[assignment]
    runs: list[dict[str, object]] = told["runs"]  # type: ignore[assignment]
    price = told["dollars_an_hour"]
    where = f" on {told['provisioner']}, engine {told['engine']}" if told["provisioner"] else ""
    lines = [f"cluster {told['name']}{where}: {told['state']}" + (f", {price:.3f} $/h" if isinstance(price, float) else "")]
    if str(told["state"]).startswith("launch") and told["launch"]:
        lines.append(f"launch:  {told['launch']}")
    if nodes:
        rows = [
            (str(n["name"]), f"{n['type']}{' (preemptible)' if n['preemptible'] else ''}", str(n["address"]), span(float(str(n["age"]))), _state(n))
            for n in nodes
        ]
        lines += ["", table(("node", "type", "address", "age", "state"), rows, right=(3,))]
    if runs:
        lines += ["", table(("run", "state", "command"), [(str(each["id"]), str(each["state"]), str(each["command"])) for each in runs])]
    if told["trouble"]:
        lines += ["", str(told["trouble"])]
    return "\n".join(lines)


def _state(node: dict[str, object]) -> str:
    return f"{node['state']}: {node['why']}" if node["why"] else str(node["state"])
