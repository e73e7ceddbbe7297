"""Destroying a cluster: everything that was made and nothing else, and a look whether it is gone."""

from __future__ import annotations

from toil_core.cluster.state import ClusterState
from toil_core.errors import ToilError
from toil_core.provisioner import HasInventory, Provisioner, Resource


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
