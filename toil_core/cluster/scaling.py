"""Which workers to add to a cluster, and which to take away: decided here, done elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from toil_core.cluster.wanted import Offer, WantedNode, Workers, more_workers
from toil_core.errors import UsageError
from toil_core.provisioner import Node


@dataclass(frozen=True)
class Change:
    """What to do.

    Args:
        add: The nodes to add.
        remove: The names of the nodes to remove.
    """

    add: tuple[WantedNode, ...] = ()
    remove: tuple[str, ...] = ()


def change(
    nodes: Sequence[Node],
    workers: Sequence[Workers],
    usual: Offer | None,
    *,
    disk: int = 0,
    loads: Mapping[str, int] | None = None,
    used: AbstractSet[str] = frozenset(),
) -> Change:
    """What makes a cluster's workers as many as wanted.

    With one number, it is that of all workers, and those to add are like most of those there are unless a type is said. With types, it is
    the number of each of these; workers of other types stay. Those that are taken away first do the least, then were launched last.

    Args:
        nodes: The nodes that there are.
        workers: How many are wanted.
        usual: The kind of workers to add when it is not said.
        disk: Bytes of root disk of workers to add.
        loads: By name, how many jobs run on a node; None when that is not known.
        used: Names that nodes once had; they are not given again.

    Raises:
        UsageError: A type has to be said, or a range was given.
    """
    present = [node for node in nodes if node.role == "worker"]
    add: list[WantedNode] = []
    remove: list[str] = []
    for wanted in workers:
        if wanted.least != wanted.most:
            raise UsageError(f"{wanted.least}-{wanted.most}: a range is for a cluster that grows by itself, and this command sets a number; how many workers shall there be now?")
        alike = [node for node in present if wanted.offer is None or _is_like(node, wanted.offer)]
        missing = wanted.least - len(alike)
        if missing > 0:
            kind = wanted.offer or usual or _commonest(alike)
            if kind is None:
                raise UsageError("of which type shall the workers be? --node-type TYPE, or -w TYPE=N, says it")
            add += more_workers([*used, *(node.name for node in nodes), *(node.name for node in add)], kind, missing, disk)
        elif missing < 0:
            remove += [node.name for node in _least_needed(alike, loads or {})[:-missing]]
    return Change(tuple(add), tuple(remove))


def _is_like(node: Node, offer: Offer) -> bool:
    return node.type == offer.type and node.preemptible == offer.preemptible


def _commonest(nodes: Collection[Node]) -> Offer | None:
    kinds = [Offer(node.type, node.preemptible) for node in nodes]
    return max(kinds, key=lambda kind: (kinds.count(kind), not kind.preemptible, kind.type), default=None)


def _least_needed(nodes: Sequence[Node], loads: Mapping[str, int]) -> list[Node]:
    return sorted(nodes, key=lambda node: (loads.get(node.name, 0), -node.launched, node.name))
