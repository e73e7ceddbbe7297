"""`toil list-clusters`: the clusters that this machine, or a cloud, knows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from toil_core.cli.as_json import add_json, print_json
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.cluster.listing import Summary


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    add_json(parser, "Print JSON instead of a table.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """List them."""
    from toil_core.cluster.access import cluster_of_this_node
    from toil_core.monitor.text import table

    found = list(_found(arguments, config))
    if arguments.json:
        print_json(found)
    elif found:
        rows = [(each.name, each.provisioner, each.state, "" if each.nodes is None else str(each.nodes), _price(each.price)) for each in found]
        print(table(("cluster", "provisioner", "state", "nodes", "$/h"), rows, right=(3, 4)))
    elif cluster := cluster_of_this_node():
        print(f"no clusters are known here: this is a node of cluster {cluster}, and the machine that launched it knows it")
    else:
        print("no clusters; `toil launch-cluster` makes one")
    return 0


def _found(arguments: argparse.Namespace, config: Config) -> Iterator[Summary]:
    from toil_core.cluster.listing import known_here, only_in_cloud
    from toil_core.provisioner_options import ClusterOptions

    chosen = config[ClusterOptions].provisioner
    here = list(known_here(arguments, chosen))
    yield from here
    provisioner = chosen or "local"  # asks for no account
    yield from only_in_cloud(provisioner, config, {each.name for each in here if each.provisioner == provisioner})


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:.3f}"
