"""Which waiting requests start now, and on which node. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from toil_core.batch_system import Request, Requirement

from toil_dask.devices import Devices
from toil_dask.refusal import refusal

PATIENCE = 64
"""How many later requests, or other leaders', may start before the oldest waiting one; then a node is kept free for it."""
NOTHING = Requirement(cores=0)


class _Node:
    """One node, what is set aside on it, and what other leaders hold there. Cores are counted in thousandths, so that they add up exactly."""

    def __init__(self, offer: Requirement) -> None:
        self.offer = offer
        self.cores = _thousandths(offer.cores)
        self.memory, self.disk = offer.memory, offer.disk
        self.devices = Devices(offer.accelerators)
        self.held: dict[str, tuple[Requirement, tuple[int, ...]]] = {}
        self.lasting: set[str] = set()
        self.open = True
        self.others = NOTHING

    def fits(self, needed: Requirement, *, after: bool = False) -> bool:
        """Whether there is room now, or `after` the requests of other leaders."""
        others = NOTHING if after else self.others
        return (
            self.open
            and _thousandths(needed.cores) <= self.cores - _thousandths(others.cores)
            and needed.memory <= self.memory - others.memory
            and needed.disk <= self.disk - others.disk
            and (needed.preemptible or not self.offer.preemptible)
            and (not needed.accelerators or self.devices.find(needed.accelerators) is not None)
        )

    def fits_in_the_end(self, needed: Requirement) -> bool:
        """Whether there will be room when all have ended but those that last: they go on until others, which wait behind it, have ended."""
        lasting = [self.held[id][0] for id in self.lasting]
        return (
            self.open
            and not refusal(needed, [self.offer])
            and sum(map(_thousandths, (needed.cores, *(one.cores for one in lasting)))) <= _thousandths(self.offer.cores)
            and needed.memory + sum(one.memory for one in lasting) <= self.offer.memory
            and needed.disk + sum(one.disk for one in lasting) <= self.offer.disk
            and not (needed.accelerators and any(one.accelerators for one in lasting) and self.devices.find(needed.accelerators) is None)
        )

    def hold(self, request: Request) -> None:
        """Set aside what a request needs."""
        needed = request.requirement
        numbers = self.devices.find(needed.accelerators) or ()
        self.devices.take(numbers)
        self.held[request.id] = needed, numbers
        if request.lasting:
            self.lasting.add(request.id)
        self._add(needed, -1)

    def release(self, id: str) -> None:
        """The request has ended."""
        self.lasting.discard(id)
        needed, numbers = self.held.pop(id)
        self.devices.give_back(numbers)
        self._add(needed, 1)

    def cost(self, needed: Requirement) -> tuple[bool, int, int, int]:
        """The less the better: what cannot be taken away and what has accelerators is spared, then full nodes are filled up."""
        spared = needed.preemptible and not self.offer.preemptible
        return spared, 0 if needed.accelerators else len(self.offer.accelerators), self.free, self.memory

    @property
    def free(self) -> int:
        """Thousandths of cores that nobody holds."""
        return self.cores - _thousandths(self.others.cores)

    def _add(self, needed: Requirement, sign: int) -> None:
        self.cores += sign * _thousandths(needed.cores)
        self.memory += sign * needed.memory
        self.disk += sign * needed.disk


class Placement:
    """Cores, memory, disk and accelerators of nodes that come and go, shared out to requests about in the order in which they came.

    Every request is waiting, or placed on one node, or unknown.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._waiting: deque[Request] = deque()
        self._placed: dict[str, str] = {}
        self._kinds: Counter[Requirement] = Counter()
        self._hopeless: set[Requirement] = set()
        self._overtaken = 0
        self._possible: dict[Requirement, bool] = {}
        """Whether a node that is there could have a request of that kind if it were empty; as far as that was asked."""

    # Nodes

    def join(self, node: str, offer: Requirement) -> None:
        """A node is there."""
        self._nodes[node] = _Node(offer)
        self._possible.clear()
        self._room(self._nodes[node])

    def leave(self, node: str) -> list[str]:
        """A node is gone; the requests that were placed on it, which are unknown from now on."""
        self._possible.clear()
        gone = self._nodes.pop(node, None)
        lost = list(gone.held) if gone else []
        for id in lost:
            del self._placed[id]
        return lost

    def close(self, node: str) -> None:
        """Place nothing more on the node."""
        if node in self._nodes:
            self._possible.clear()
            self._nodes[node].open = False

    def occupy(self, node: str, held: Requirement) -> None:
        """Other leaders' requests hold so much of the node from now on."""
        there = self._nodes.get(node)
        if there is not None:
            there.others = held
            self._overtaken += bool(self._waiting)
            self._room(there)

    def loads(self) -> Mapping[str, int]:
        """How many requests are placed on each node."""
        return {name: len(node.held) for name, node in self._nodes.items()}

    def offers(self) -> list[Requirement]:
        """What the nodes have, whether they are free or not."""
        return [node.offer for node in self._nodes.values()]

    # Requests

    def add(self, request: Request) -> None:
        """Let the request wait for its turn."""
        self._waiting.append(request)
        self._kinds[request.requirement] += 1

    def remove(self, id: str) -> bool:
        """Let a waiting request go; whether there was one."""
        for place, request in enumerate(self._waiting):
            if request.id == id:
                del self._waiting[place]
                self._forget(request.requirement)
                if not place:
                    self._overtaken = 0
                return True
        return False

    def end(self, id: str) -> None:
        """A placed request has ended; unknown ones are harmless."""
        name = self._placed.pop(id, None)
        if name is not None:
            node = self._nodes[name]
            node.release(id)
            self._room(node)

    def where(self, id: str) -> str | None:
        """The node on which the request is placed."""
        return self._placed.get(id)

    def waiting(self) -> Iterable[Request]:
        """The requests that wait, oldest first."""
        return self._waiting

    def misfits(self) -> dict[str, str]:
        """For each waiting request that would fit none of the nodes even if they were empty, why; nothing while there are none."""
        offers = list(dict.fromkeys(self.offers()))
        refused = {needed: refusal(needed, offers) for needed in self._kinds} if offers else {}
        return {request.id: why for request in self._waiting if (why := refused.get(request.requirement))}

    def start(self) -> list[tuple[Request, str]]:
        """Requests that start now, each with its node."""
        started: list[tuple[Request, str]] = []
        shared = any(node.others != NOTHING for node in self._nodes.values())
        if not self._kinds.keys() - self._hopeless and not (shared and self._overtaken >= PATIENCE):
            return started
        kept: deque[Request] = deque()
        behind = False  # whether one stays behind that these nodes can have
        reserved: str | None = None
        in_vain: set[Requirement] = set()
        while self._waiting:
            request = self._waiting.popleft()
            needed = request.requirement
            name = None if needed in self._hopeless else self._choose(needed, reserved)
            excluded = reserved is not None
            if name is None and not excluded and self._overtaken >= PATIENCE and needed not in in_vain:
                reserved = self._reserve(needed)
                if reserved is None:
                    in_vain.add(needed)
                elif shared and self._nodes[reserved].fits(needed, after=True):
                    name, reserved, behind = reserved, None, False  # Dask lets it wait there for its turn, before what others send later
            if name is None:
                if not excluded:
                    self._hopeless.add(needed)
                behind = behind or self._is_possible(needed)
                kept.append(request)
                continue
            self._overtaken = self._overtaken + 1 if behind else 0
            self._forget(needed)
            self._nodes[name].hold(request)
            self._placed[request.id] = name
            started.append((request, name))
        self._waiting = kept
        return started

    def _choose(self, needed: Requirement, reserved: str | None) -> str | None:
        fitting = [name for name, node in self._nodes.items() if name != reserved and node.fits(needed)]
        return min(fitting, key=lambda name: self._nodes[name].cost(needed), default=None)

    def _reserve(self, needed: Requirement) -> str | None:
        """The node that is kept free for a request that has waited for long: the emptiest that could have it."""
        able = [name for name, node in self._nodes.items() if node.fits_in_the_end(needed)]
        return max(able, key=lambda name: self._nodes[name].free, default=None)

    def _is_possible(self, needed: Requirement) -> bool:
        if needed not in self._possible:
            offers = [node.offer for node in self._nodes.values() if node.open]
            self._possible[needed] = bool(offers) and not refusal(needed, offers)
        return self._possible[needed]

    def _forget(self, needed: Requirement) -> None:
        """One waiting request of that kind less."""
        self._kinds[needed] -= 1
        if not self._kinds[needed]:
            del self._kinds[needed]
            self._possible.pop(needed, None)

    def _room(self, node: _Node) -> None:
        """There is more room on the node than before."""
        self._hopeless = {needed for needed in self._hopeless if not node.fits(needed)}


def _thousandths(cores: float) -> int:
    return round(cores * 1000)
