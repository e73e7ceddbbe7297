"""Adding nodes to a running cluster, and taking nodes away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from toil_core.cluster.access import Cluster
from toil_core.cluster.launch import Launch, Place
from toil_core.cluster.layout import STOP
from toil_core.cluster.machines import await_gone
from toil_core.cluster.phases import MOST
from toil_core.cluster.runner import PhaseFailed
from toil_core.cluster.scaling import Change, change
from toil_core.cluster.wanted import Offer, WantedNode, Workers, check_types
from toil_core.errors import ToilError, UsageError
from toil_core.plugins import open_engine
from toil_core.provisioner import Node

_STOP = 60.0
"""Seconds that an engine's program may take to end in good order."""
_GONE = 300.0
"""Seconds that machines may take to be gone."""


def scale_cluster(cluster: Cluster, workers: Sequence[Workers], usual: Offer | None, tell: Callable[[str], None]) -> Change:
    """Make a cluster's workers as many as wanted.

    Args:
        cluster: The cluster.
        workers: How many are wanted.
        usual: The kind of those to add, when it is not said with their number.
        tell: Shows a line to the user.

    Returns:
        What was done.

    Raises:
        UsageError: It cannot be done from this machine, or what is wanted cannot be had.
        ToilError: Nodes could not be added; those that were half made are removed.
    """
    cluster.same_version()
    nodes = cluster.nodes()
    if cluster.file is None:
        raise UsageError(f"cluster {cluster.name} was launched from elsewhere, and what its nodes share is there; scale it from that machine")
    leader = cluster.node()
    todo = change(nodes, workers, usual, disk=cluster.file.worker_disk)
    check_types([Offer(node.type, node.preemptible, node.bid) for node in todo.add], cluster.provisioner.catalog())
    if todo.add:
        _add(cluster, todo.add, leader, tell)
    if todo.remove:
        _remove(cluster, todo.remove, tell)
    return todo


def _add(cluster: Cluster, wanted: Sequence[WantedNode], leader: Node, tell: Callable[[str], None]) -> None:
    assert cluster.file is not None
    requirements = cluster.state.folder / "requirements.txt"
    place = Place(cluster.state, cluster.provisioner, cluster.transport, open_engine(cluster.file.engine, cluster.config), cluster.config)
    launch = Launch(place, wanted, leader, requirements if requirements.exists() else None, tell)
    try:
        launch.run()
    except BaseException as error:
        launch.settle(2.0)
        cluster.provisioner.terminate(cluster.name, [node.name for node in wanted])
        if isinstance(error, PhaseFailed) and isinstance(error.cause, ToilError | OSError):
            raise error.verdict(f"no nodes were added to {cluster.name}: {error}") from error.cause
        raise


def _remove(cluster: Cluster, names: Sequence[str], tell: Callable[[str], None]) -> None:
    tell(f"removes {', '.join(names)}")
    going = [node for node in cluster.nodes() if node.name in names]
    with ThreadPoolExecutor(MOST) as pool:
        list(pool.map(lambda node: _stop(cluster, node), going))
    cluster.provisioner.terminate(cluster.name, names)
    await_gone(lambda: cluster.provisioner.nodes(cluster.name), names, _GONE)


def _stop(cluster: Cluster, node: Node) -> None:
    """End the engine's program, so that it can say good-bye; a node that does not answer goes without."""
    try:
        cluster.transport.run(node, ["sh", "-c", STOP], timeout=_STOP)
    except ToilError:
        pass
