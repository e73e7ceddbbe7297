"""Which waiting requests start now, and on which node. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toil_core.batch_system import Request, Requirement
from toil_core.room import NOTHING, Room
from toil_core.waiting_line import PATIENCE, WaitingLine

from toil_dask.refusal import refusal


class _Node:
    """One node, what is set aside on it, and what other leaders hold there."""

    def __init__(self, offer: Requirement) -> None:
        self.offer = offer
        self.room = Room(offer)
        self.open = True
        self.others = self.others_lasting = NOTHING

    def fits(self, needed: Requirement) -> bool:
        """Whether there is room now."""
        return self._may_have(needed) and self.room.fits(needed, self.others)

    def fits_but_for_others(self, needed: Requirement) -> bool:
        """Whether there is room once other leaders' requests have ended; whether that lasts is not asked."""
        return self._may_have(needed) and self.room.fits(needed)

    def fits_in_the_end(self, needed: Requirement) -> bool:
        """Whether there will be room once all have ended but those that last, whosever they are."""
        return self._may_have(needed) and self.room.fits_in_the_end(needed, self.others_lasting)

    def cost(self, needed: Requirement) -> tuple[bool, int, int, int]:
        """The less the better: what cannot be taken away and what has accelerators is spared, then full nodes are filled up."""
        spared = needed.preemptible and not self.offer.preemptible
        cores, memory, _ = self.free
        return spared, 0 if needed.accelerators else len(self.offer.accelerators), cores, memory

    @property
    def free(self) -> tuple[int, int, int]:
        """Cores, memory and disk that nobody holds."""
        return self.room.free(self.others)

    def _may_have(self, needed: Requirement) -> bool:
        return self.open and (needed.preemptible or not self.offer.preemptible)


class _Nodes(dict[str, _Node]):
    """The nodes that are there, by name: the places of a `WaitingLine`."""

    def find(self, needed: Requirement, spared: str | None) -> str | None:
        """The node that is best for a request for which it has room now."""
        fitting = [name for name, node in self.items() if name != spared and node.fits(needed)]
        return min(fitting, key=lambda name: self[name].cost(needed), default=None)

    def find_in_the_end(self, needed: Requirement) -> str | None:
        """The emptiest node that will have room for a request."""
        able = [name for name, node in self.items() if node.fits_in_the_end(needed)]
        return max(able, key=lambda name: self[name].free, default=None)

    def may_queue(self, needed: Requirement, place: str) -> bool:
        """Whether only other leaders are in the way: Dask lets a request wait on the node for its turn, before what they send later."""
        return self[place].others != NOTHING and self[place].fits_but_for_others(needed)


class Placement:
    """Cores, memory, disk and accelerators of nodes that come and go, shared out to requests about in the order in which they came.

    Every request is waiting, or placed on one node, or unknown.

    Args:
        patience: How many others, other leaders' too, may have a turn before one that came earlier; then a node is kept free for it.
    """

    def __init__(self, patience: int = PATIENCE) -> None:
        self._nodes = _Nodes()
        self._line = WaitingLine(self._nodes, patience)
        self._placed: dict[str, str] = {}

    # Nodes

    def join(self, node: str, offer: Requirement) -> None:
        """A node is there."""
        self._nodes[node] = _Node(offer)
        self._line.more_room(self._nodes[node].fits)

    def leave(self, node: str) -> list[str]:
        """A node is gone; the requests that were placed on it, which are unknown from now on."""
        gone = self._nodes.pop(node, None)
        lost = list(gone.room.requests) if gone else []
        for id in lost:
            del self._placed[id]
        return lost

    def close(self, node: str) -> None:
        """Place nothing more on the node."""
        if node in self._nodes:
            self._nodes[node].open = False

    def occupy(self, node: str, held: Requirement, lasting: Requirement = NOTHING) -> None:
        """Other leaders' requests hold so much of the node from now on.

        Args:
            node: The node.
            held: What all of them hold.
            lasting: What those of them hold that last.
        """
        there = self._nodes.get(node)
        if there is not None:
            there.others, there.others_lasting = held, lasting
            self._line.passed_by()
            self._line.more_room(there.fits)

    def loads(self) -> Mapping[str, int]:
        """How many requests are placed on each node."""
        return {name: len(node.room.requests) for name, node in self._nodes.items()}

    def offers(self) -> list[Requirement]:
        """What the nodes have, whether they are free or not."""
        return [node.offer for node in self._nodes.values()]

    # Requests

    def add(self, request: Request) -> None:
        """Let the request wait for its turn."""
        self._line.add(request)

    def remove(self, id: str) -> bool:
        """Let a waiting request go; whether there was one."""
        return self._line.remove(id)

    def end(self, id: str) -> None:
        """A placed request has ended; unknown ones are harmless."""
        name = self._placed.pop(id, None)
        if name is not None:
            node = self._nodes[name]
            node.room.release(id)
            self._line.more_room(node.fits)

    def where(self, id: str) -> str | None:
        """The node on which the request is placed."""
        return self._placed.get(id)

    def waiting(self) -> Iterable[Request]:
        """The requests that wait, oldest first."""
        return self._line

    def misfits(self) -> dict[str, str]:
        """For each waiting request that would fit none of the nodes even if they were empty, why; nothing while there are none."""
        offers = list(dict.fromkeys(self.offers()))
        refused = {needed: refusal(needed, offers) for needed in self._line.kinds} if offers else {}
        return {request.id: why for request in self._line if (why := refused.get(request.requirement))}

    def start(self) -> list[tuple[Request, str]]:
        """Requests that start now, each with its node."""
        started = []
        for request, name in self._line.turns():
            self._nodes[name].room.hold(request)
            self._placed[request.id] = name
            started.append((request, name))
        return started
