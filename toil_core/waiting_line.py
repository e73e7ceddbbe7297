"""Whose turn it is among requests that wait for room, for batch systems that share machines out themselves. Pure.

Requests have their turns in the order in which they came, but whoever finds room goes before those that find none. Once one was
passed by so for long enough, a place is kept free for it; but only one where it will have room although some last, as services
do: these end only when others have, which may be waiting behind it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Collection, Iterator
from functools import reduce
from itertools import count
from typing import Generic, Protocol, TypeVar

from toil_core.batch_system import Request, Requirement

P = TypeVar("P")
PATIENCE = 64
"""How many others may have a turn before one that came earlier; then a place is kept free for it."""
_REMEMBERED = 8
"""How many times that there was more room are told apart."""
_LEAST = Requirement(cores=0, preemptible=True)


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
        born: When the first of them came, by the line's own count.
        hopeless: When there was last seen to be no room for one; -1 for never.
    """

    __slots__ = ("born", "hopeless", "needed", "queue")

    def __init__(self, needed: Requirement, born: int) -> None:
        self.needed = needed
        self.queue: deque[tuple[int, Request]] = deque()
        self.born = born
        self.hopeless = -1


class WaitingLine(Generic[P]):
    """Requests that wait for room, told apart by what they need: however many wait, only the first of each kind is looked at, and of the kinds only those
    that came before one which finds room; once there is none for the least of all, there is none for anybody.

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
        self._order: list[int] = []
        """The number of the first of each kind, ascending."""
        self._heads: dict[int, _Kind] = {}
        self._least = _LEAST
        """No kind needs less of anything."""
        self._now = 0
        """Counts kinds that came and places that have more room."""
        self._full = -1
        """When there was last seen to be room for none of the kinds."""
        self._roomier: deque[tuple[int, Callable[[Requirement], bool]]] = deque()
        """When there was more room, the last few times, and for what."""
        self._forgotten = -1
        """When there was more room, of which it is not known any more for what."""
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
            self._now += 1
            kind = self._kinds[request.requirement] = _Kind(request.requirement, self._now)
            self._order.append(item[0])
            self._heads[item[0]] = kind
            self._least = kind.needed if len(self._kinds) == 1 else _less(self._least, kind.needed)
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
            fits: Whether there is room for such a request now where there was less; it is asked later too.
        """
        if not self._kinds or not fits(self._least):
            return
        self._now += 1
        self._hope = True
        if len(self._roomier) == _REMEMBERED:
            self._forgotten, _ = self._roomier.popleft()
        self._roomier.append((self._now, fits))

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
        full = asked = kept_off = False
        last = -1
        while (at := bisect_right(self._order, last)) < len(self._order) and not (full and self._first):
            last = self._order[at]
            kind = self._heads[last]
            _, request = item = kind.queue[0]
            hopeful = not full and self._may_have_room(kind)
            place = self._places.find(kind.needed, spared) if hopeful else None
            if place is None and hopeful:
                kept_off = kept_off or spared is not None
                if spared is None:
                    kind.hopeless = self._now
            if place is None and not asked:
                asked = True
                if full := (hopeful and kind.needed == self._least) or self._places.find(self._least, spared) is None:
                    kept_off = spared is not None
                    self._full = self._full if kept_off else self._now
            if place is None and not self._first and (in_the_end := self._places.find_in_the_end(kind.needed)) is not None:
                self._first = request.id
                if self._is_late():
                    place, spared = (in_the_end, None) if self._places.may_queue(kind.needed, in_the_end) else (None, in_the_end)
                    asked = full
            if place is None:
                continue
            self._leave(kind, item)
            self.passed_by()
            asked = full
            yield request, place
        self._hope = kept_off
        if asked and not full:  # those that needed the least may be gone
            self._least = reduce(_less, self._kinds, next(iter(self._kinds), _LEAST))

    def _may_have_room(self, kind: _Kind) -> bool:
        """Whether there may be room for one; if not, there is none before there is more."""
        since = max(kind.hopeless, self._full if kind.born <= self._full else -1)
        if since < 0 or self._forgotten > since:
            return True
        return any(fits(kind.needed) for at, fits in reversed(self._roomier) if at > since)

    def _is_late(self) -> bool:
        """Whether the first to stay behind was passed by for long enough."""
        return self._passed.get(self._first, 0) >= self._patience

    def _leave(self, kind: _Kind, item: tuple[int, Request]) -> None:
        """It waits no longer."""
        number, request = item
        del self._waiting[request.id]
        self._passed.pop(request.id, None)
        kind.queue.remove(item)
        if self._heads.pop(number, None) is not None:
            del self._order[bisect_left(self._order, number)]
            if kind.queue:
                insort(self._order, kind.queue[0][0])
                self._heads[kind.queue[0][0]] = kind
        if not kind.queue:
            del self._kinds[kind.needed]
        if self._first == request.id:
            self._first = ""


def _less(one: Requirement, other: Requirement) -> Requirement:
    """What needs no more than either."""
    if one.cores <= other.cores and one.memory <= other.memory and one.disk <= other.disk and one.preemptible and not one.accelerators:
        return one
    return Requirement(min(one.cores, other.cores), min(one.memory, other.memory), min(one.disk, other.disk), preemptible=True)
