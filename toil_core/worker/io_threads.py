"""Threads for what may block a worker host: the job store, and large folders to remove."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Task = Callable[[], None]


class IoThreads:
    """Runs functions outside the host's loop; threads are started as they are needed.

    Args:
        most: The most threads.
        name: What to call them.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def run(self, task: Task) -> None:
        """Run it soon; it must not raise."""
        self._queue.put(task)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, seconds: float) -> None:
        """Let the threads end when what was given to them is done, and wait so long for that."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(seconds)

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            task()
            self._idle.release()


class Syncer:
    """Makes what was written survive power loss, for many writers by one call.

    Args:
        sync: Does it.
    """

    def __init__(self, sync: Task) -> None:
        self._sync = sync
        self._queue: SimpleQueue[Callable[[Exception | None], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="toil-sync", daemon=True)
        self._thread.start()

    def after(self, then: Callable[[Exception | None], None]) -> None:
        """Call it once all that was written before now survives, or with the error that prevents it."""
        self._queue.put(then)

    def close(self, seconds: float) -> None:
        """End the thread when what was asked for is done, and wait so long for that."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        ending = False
        while not ending:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            ending = None in waiting
            error: Exception | None = None
            try:
                self._sync()
            except Exception as raised:  # noqa: BLE001 - told to those who wait
                error = raised
            for then in waiting:
                if then is not None:
                    then(error)


def pause(tries: int) -> float:
    """Seconds to wait before asking the store again."""
    return min(10.0, 0.1 * 2.0**tries)


def forgiving(action: Task) -> Task:
    """The action, without its errors: what it sweeps up may be swept up later."""

    def acting() -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 - what stays is swept up later
            return

    return acting
