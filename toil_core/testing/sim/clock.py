"""Simulated time: what happens next happens at once, in one order, however many actors wait.

An actor runs in a thread of its own, but never two at the same time: the one that waits makes
everything happen up to the time at which an actor goes on, and hands over to that one.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count


class Killed(BaseException):
    """Raised where an actor waits that is to go on no more."""


class Actor:
    """Something that runs through code of its own and waits in between.

    Args:
        name: What to call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.killed = False
        self.over = False
        self.gate = threading.Lock()  # open when it is its turn
        self.gate.acquire()
        self.turn = 0
        self.thread: threading.Thread | None = None


class Clock:
    """The time of one simulated world; whoever makes it is its first actor.

    Attributes:
        now: Seconds since 1970.
        error: What one of the things that happened raised.
    """

    def __init__(self, start: float = 1.0e9) -> None:
        self.now = start
        self.error: BaseException | None = None
        self.main = Actor("main")
        self._current = self.main
        self._numbers = count()
        self._heap: list[tuple[float, int, Callable[[], object] | None, Actor | None, int]] = []
        self._actors: list[Actor] = []

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Have the action happen after that time."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), action, None, 0))

    def start(self, name: str, run: Callable[[], object]) -> Actor:
        """Begin an actor; it runs as soon as the present one waits."""
        actor = Actor(name)

        def body() -> None:
            actor.gate.acquire()
            try:
                if not actor.killed:
                    run()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001  it is raised again where the world runs
                self.fail(error)
            actor.over = True
            self._pump(None)

        actor.thread = threading.Thread(target=body, name=name, daemon=True)
        self._actors.append(actor)
        actor.thread.start()
        self._push(actor, 0.0)
        return actor

    def wait(self, seconds: float | None) -> None:
        """Have the present actor go on after that time, or when it is woken.

        Raises:
            Killed: It is not to go on.
        """
        me = self._current
        if me.killed:
            raise Killed
        me.turn += 1
        if seconds is not None:
            self._push(me, seconds)
        self._pump(me)
        if me is self.main and self.error is not None:
            error, self.error = self.error, None
            raise error
        if me.killed:
            raise Killed

    def wake(self, actor: Actor) -> None:
        """Have a waiting actor go on now."""
        if not actor.over:
            self._push(actor, 0.0)

    def kill(self, actor: Actor) -> None:
        """Have an actor go on no more."""
        actor.killed = True
        self.wake(actor)

    def fail(self, error: BaseException) -> None:
        """Have the error raised where the world runs, when nothing was before; what happens next does not happen."""
        self.error = self.error or error

    def close(self) -> None:
        """End every actor."""
        self._heap.clear()
        for actor in self._actors:
            while not actor.over:
                self.kill(actor)
                with suppress(Exception):  # what goes wrong now is of no interest
                    self.wait(0.0)
            assert actor.thread is not None
            actor.thread.join()

    def _push(self, actor: Actor, seconds: float) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), None, actor, actor.turn))

    def _pump(self, me: Actor | None) -> None:
        """Make everything happen until it is my turn; without me, until it is another's."""
        while True:
            if self.error is not None:
                to: Actor | None = self.main
            else:
                to = self._step()
            if to is None or to.over:
                continue
            to.turn += 1
            self._current = to
            if to is me:
                return
            to.gate.release()
            if me is not None:
                me.gate.acquire()
            return

    def _step(self) -> Actor | None:
        """The next thing happens; the actor whose turn it is now."""
        if not self._heap:
            self.error = self.error or RuntimeError("nothing will ever happen again")
            return None
        at, _, action, actor, turn = heapq.heappop(self._heap)
        if actor is not None:
            if turn != actor.turn or actor.over:
                return None
            self.now = max(self.now, at)
            return actor
        self.now = max(self.now, at)
        try:
            assert action is not None
            action()
        except BaseException as error:  # noqa: BLE001  it is raised again where the world runs
            self.error = error
        return None
