"""Whose turn it is among requests that wait for room, for batch systems that share machines out themselves. Pure.

Requests have their turns in the order in which they came, but whoever finds room goes before those that find none. Once one was
passed by so for long enough, a place is kept free for it; but only one where it will have room although some last, as services
do: these end only when others have, which may be waiting behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

from toil_core.batch_system import Request, Requirement

P = TypeVar("P")
PATIENCE = 64
"""How many others may have a turn before one that came earlier; then a place is kept free for it."""


class Places(Protocol[P]):
    """What a `WaitingLine` asks of who knows the machines. A place is whatever names one of them; `toil_core.room.Room` does the sums."""

    def find(self, needed: Requirement, spared: P | None) -> P | None:
        """The best place where there is room now; None when there is none.

        Args:
            needed: What a request needs.
            spared: A place that does not count, as it is kept free for another.
        """
        ...

    def find_in_the_end(self, needed: Requirement) -> P | None:
        """The place to keep free for a request: where it will have room once all have ended but those that last. None when there is none."""
        ...

    def may_queue(self, needed: Requirement, place: P) -> bool:
        """Whether a request has its turn at the place that is kept free for it although others, whom nobody here keeps waiting, still hold it."""
        ...


class _Kind:
    """Those that need the same, as they came.

    Attributes:
        needed: What they need.
        queue: Each with its number.
        hopeful: Whether there may be room for one; if not, there is none before there is more.
    """

    __slots__ = ("hopeful", "needed", "queue")

    def __init__(self, needed: Requirement) -> None:
        self.needed = needed
        self.queue: deque[tuple[int, Request]] = deque()
        self.hopeful = True


class WaitingLine(Generic[P]):
    """Requests that wait for room, told apart by what they need: however many wait, only the first of each kind is looked at.

    Args:
        places: Where they may go.
        patience: How many others may have a turn before one that came earlier.
    """

    def __init__(self, places: Places[P], patience: int = PATIENCE) -> None:
        self._places = places
        self._patience = patience
        self._numbers = count()
        self._waiting: dict[str, tuple[int, Request]] = {}
        self._kinds: dict[Requirement, _Kind] = {}
        self._hope = False
        """Whether there may be room for any."""
        self._passed: dict[str, int] = {}
        """How many went before a request that was the first to stay behind."""
        self._first = ""
        """The request that stayed behind, and will have room in the end, and came before all others of which that is true."""

    def __iter__(self) -> Iterator[Request]:
        """The requests that wait, as they came."""
        return (request for _, request in self._waiting.values())

    @property
    def kinds(self) -> Collection[Requirement]:
        """What those that wait need, each once."""
        return self._kinds.keys()

    def add(self, request: Request) -> None:
        """Let the request wait for its turn."""
        item = self._waiting[request.id] = next(self._numbers), request
        kind = self._kinds.get(request.requirement)
        if kind is None:
            kind = self._kinds[request.requirement] = _Kind(request.requirement)
            self._hope = True
        kind.queue.append(item)

    def remove(self, id: str) -> bool:
        """Let a waiting request go; whether there was one."""
        item = self._waiting.get(id)
        if item is None:
            return False
        self._leave(self._kinds[item[1].requirement], item)
        return True

    def more_room(self, fits: Callable[[Requirement], bool]) -> None:
        """There is more room than before; without this no turn comes of it.

        Args:
            fits: Whether there is room for such a request now where there was less.
        """
        for kind in self._kinds.values():
            if kind.hopeful or fits(kind.needed):
                kind.hopeful = self._hope = True

    def passed_by(self) -> None:
        """Somebody who never waited here had a turn."""
        if self._first in self._waiting:
            self._passed[self._first] = self._passed.get(self._first, 0) + 1

    def turns(self) -> Iterator[tuple[Request, P]]:
        """The requests whose turn it is, each with its place. The caller takes up the room there before it asks for the next."""
        if not self._hope and not self._is_late():
            return
        self._first = ""
        spared: P | None = None
        heads = [(kind.queue[0][0], kind) for kind in self._kinds.values()]
        heapify(heads)
        while heads:
            _, kind = heappop(heads)
            _, request = item = kind.queue[0]
            place = self._find(kind, spared)
            if place is None and not self._first and (in_the_end := self._places.find_in_the_end(kind.needed)) is not None:
                self._first = request.id
                if self._is_late():
                    place, spared = (in_the_end, None) if self._places.may_queue(kind.needed, in_the_end) else (None, in_the_end)
            if place is None:
                continue
            self._leave(kind, item)
            self.passed_by()
            yield request, place
            if kind.queue:
                heappush(heads, (kind.queue[0][0], kind))
        self._hope = any(kind.hopeful for kind in self._kinds.values())

    def _find(self, kind: _Kind, spared: P | None) -> P | None:
        if not kind.hopeful:
            return None
        place = self._places.find(kind.needed, spared)
        if place is None and spared is None:
            kind.hopeful = False
        return place

    def _is_late(self) -> bool:
        """Whether the first to stay behind was passed by for long enough."""
        return self._passed.get(self._first, 0) >= self._patience

    def _leave(self, kind: _Kind, item: tuple[int, Request]) -> None:
        """It waits no longer."""
        _, request = item
        del self._waiting[request.id]
        self._passed.pop(request.id, None)
        kind.queue.remove(item)
        if not kind.queue:
            del self._kinds[kind.needed]
        if self._first == request.id:
            self._first = ""
