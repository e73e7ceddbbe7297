"""Adding nodes to a running cluster, and taking nodes away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from toil_core.cluster.access import Cluster
from toil_core.cluster.draining import drain, loads
from toil_core.cluster.good_order import ended_in_good_order, taken_back
from toil_core.cluster.launch import Launch, Place, kept_software
from toil_core.cluster.machines import take_away
from toil_core.cluster.runner import PhaseFailed
from toil_core.cluster.scaling import Change, change
from toil_core.cluster.wanted import Offer, Share, WantedNode, Workers, check_types
from toil_core.errors import Interrupted, ToilError, UsageError
from toil_core.plugins import open_engine
from toil_core.provisioner import Node

PATIENCE = 600.0
"""Seconds that the jobs on a node that goes are usually waited for."""
ONE = Share(1)
_ANSWER = 60.0


@dataclass(frozen=True)
class Done:
    """What became of it.

    Args:
        added: The names of the nodes that were added.
        failed: By name of those that did not come up, why; they are removed again.
        removed: The names of the nodes that were taken away.
    """

    added: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


def scale_cluster(
    cluster: Cluster, workers: Sequence[Workers], usual: Offer | None, tell: Callable[[str], None], *, patience: float = PATIENCE, least: Share = ONE
) -> Done:
    """Make a cluster's workers as many as wanted; those that have the least to do go first, once they have done it.

    Args:
        cluster: The cluster.
        workers: How many are wanted.
        usual: The kind of those to add, when it is not said with their number.
        tell: Shows a line to the user.
        patience: Seconds to wait for jobs on nodes that go; what runs longer runs again elsewhere.
        least: How many of the nodes to add must come up.

    Raises:
        UsageError: It cannot be done from this machine, or what is wanted cannot be had.
        ToilError: Nodes could not be added; those that were half made are removed.
    """
    cluster.check_fit()
    nodes = cluster.nodes()
    if cluster.file is None:
        raise UsageError(f"cluster {cluster.name} was launched from elsewhere, and what its nodes share is there; scale it from that machine")
    leader = cluster.node()
    used = {step.phase.rpartition("/")[0] for step in cluster.state.journal()}

    def todo(loads: Mapping[str, int]) -> Change:
        assert cluster.file is not None
        return change(nodes, workers, usual, disk=cluster.file.worker_disk, loads=loads, used=used)

    wanted = todo({})
    check_types([Offer(node.type, node.preemptible, node.bid) for node in wanted.add], cluster.provisioner.catalog())
    if wanted.add:  # where we are not let in nothing shall be paid for
        cluster.transport.run(leader, ["true"], timeout=_ANSWER)
    failed = _add(cluster, wanted.add, leader, least, tell) if wanted.add else {}
    remove = todo(loads(cluster, [node for node in nodes if node.role == "worker"])).remove if wanted.remove else ()
    if remove:
        tell(f"removes {', '.join(remove)} once what runs there has ended, in {patience:g} s at the latest")
        drain(cluster, [node for node in nodes if node.name in remove], patience, tell)
        take_away(cluster.provisioner, cluster.name, remove)
    return Done(tuple(node.name for node in wanted.add if node.name not in failed), failed, remove)


def _add(cluster: Cluster, wanted: Sequence[WantedNode], leader: Node, least: Share, tell: Callable[[str], None]) -> dict[str, str]:
    """Add nodes; those that did not come up, and why."""
    assert cluster.file is not None
    place = Place(cluster.state, cluster.provisioner, cluster.transport, open_engine(cluster.file.engine, cluster.config), cluster.config)
    launch = Launch(place, wanted, leader, kept_software(cluster.state), max(1, least.of(len(wanted))), tell)

    def take_back() -> None:
        launch.settle(2.0)
        cluster.provisioner.terminate(cluster.name, [node.name for node in wanted])

    try:
        with ended_in_good_order("adding nodes"):
            launch.run()
    except BaseException as error:
        left = taken_back(take_back, "what was half made", f"`toil scale-cluster {cluster.name} -w N`, with the number of before, takes them away")
        if isinstance(error, PhaseFailed) and isinstance(error.cause, ToilError | OSError):
            raise error.verdict(f"no nodes were added to {cluster.name}: {error}; {left}") from error.cause
        if isinstance(error, KeyboardInterrupt | Interrupted):
            code = error.exit_code if isinstance(error, Interrupted) else 130
            raise Interrupted(f"no nodes were added to {cluster.name}, as that was interrupted; {left}", code) from error
        raise
    failed = {node: f"{left_out.phase}: {left_out.why}" for node, left_out in launch.left_out.items()}
    if failed:
        take_away(cluster.provisioner, cluster.name, failed)
    return failed
