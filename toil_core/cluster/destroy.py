"""Destroying a cluster: everything that was made and nothing else, and a look whether it is gone."""

from __future__ import annotations

import argparse

from toil_core.cluster.access import open_cluster
from toil_core.cluster.runs import Run, runs_of
from toil_core.cluster.state import ClusterState
from toil_core.cluster.wanted import LEADER
from toil_core.errors import ToilError
from toil_core.options import Config
from toil_core.provisioner import HasInventory, Provisioner, Resource
from toil_core.sync_transport import TransportOptions


def inventory(state: ClusterState, provisioner: Provisioner) -> list[Resource]:
    """All that exists because of a cluster, the machines first; of this machine, its folder of keys last.

    Args:
        state: What this machine remembers of it.
        provisioner: Its cloud.
    """
    found = in_cloud(state.name, provisioner)
    if state.folder.exists():
        found.append(Resource("keys and state", str(state.folder)))
    return found


def in_cloud(name: str, provisioner: Provisioner) -> list[Resource]:
    """All that a cloud has because of a cluster."""
    if isinstance(provisioner, HasInventory):
        return list(provisioner.inventory(name))
    return [Resource("machine", node.name) for node in provisioner.nodes(name)]


def going_on(state: ClusterState, arguments: argparse.Namespace, config: Config) -> tuple[list[Run], str]:
    """The submitted runs that would end with a cluster, and why that cannot be told; a leader that does not answer is not waited for.

    Args:
        state: What this machine remembers of it.
        arguments: The command line.
        config: The options.
    """
    try:
        with open_cluster(state.name, arguments, config) as cluster:
            half_made = cluster.file is not None and not cluster.file.ready  # nothing was submitted to it
            leaders = [] if half_made else [node for node in cluster.provisioner.nodes(state.name) if node.name == LEADER]
            limit = cluster.config[TransportOptions].connect_timeout
            found = [run for node in leaders for run in runs_of(cluster.transport, node, limit)]
    except ToilError as error:
        return [], f"it cannot be told which runs still go on there: {error}"
    return [run for run in found if run.state == "running"], ""


def destroy(state: ClusterState, provisioner: Provisioner) -> None:
    """Remove all of it; the keys go when the cloud has nothing left.

    Args:
        state: What this machine remembers of it.
        provisioner: Its cloud.

    Raises:
        ToilError: The cloud still has something of it.
    """
    provisioner.destroy(state.name)
    left = in_cloud(state.name, provisioner)
    if left:
        names = ", ".join(f"{each.kind} {each.name}" for each in left[:5])
        raise ToilError(f"cluster {state.name} is not gone: there is still {names}; try again, and look in the cloud's console if that does not help")
    state.forget()
