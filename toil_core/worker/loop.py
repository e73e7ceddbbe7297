"""A thread that waits for sockets, timers and calls from other threads, and for nothing else."""

from __future__ import annotations

import heapq
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Loop:
    """Runs actions one after another in a thread of its own.

    Args:
        name: What to call the thread.
        last: Run in the thread when the loop ends.
        failed: Told, in the thread, of what an action raised; the loop goes on.
    """

    def __init__(self, name: str, last: Action, failed: Callable[[Exception], None]) -> None:
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Action] = deque()
        self._timers: list[tuple[float, int, Action]] = []
        self._order = count()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._asleep = False
        self._ending = False
        self._owned: list[Action] = []
        self._last = last
        self._failed = failed
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, action: Action) -> None:
        """Run the action in the loop's thread, soon; from any thread."""
        self._calls.append(action)
        if self._asleep:
            os.eventfd_write(self._wake, 1)

    def later(self, seconds: float, action: Action) -> None:
        """Run the action after so many seconds; from the loop's thread only."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), action))

    def watch(self, fd: int, action: Action, *, writing: bool = False) -> None:
        """Run the action whenever the file can be read (and, if wanted, written); from the loop's thread only."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        known = self._selector.get_map().get(fd)
        if known is None:
            self._selector.register(fd, events, action)
        elif known.events != events:
            self._selector.modify(fd, events, action)

    def forget(self, fd: int) -> None:
        """Stop watching the file; from the loop's thread only."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def at_end(self, action: Action) -> None:
        """Run the action in the loop's thread after everything else."""
        self._owned.append(action)

    def close(self, seconds: float) -> None:
        """End the loop and wait for that; from any other thread."""
        self.call(self._end)
        self._thread.join(seconds)

    def _end(self) -> None:
        self._ending = True

    def _run(self) -> None:
        while not self._ending:
            self._asleep = True  # whoever calls from now on wakes the selector
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    os.eventfd_read(self._wake)
                else:
                    self._do(key.data)
            self._asleep = False
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._do(heapq.heappop(self._timers)[2])
            while self._calls and not self._ending:
                self._do(self._calls.popleft())
        self._last()
        for action in self._owned:
            self._do(action)
        self._selector.close()
        os.close(self._wake)

    def _do(self, action: Action) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - told to the owner
            self._failed(error)

    def _patience(self) -> float | None:
        if self._calls:
            return 0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
