"""Dask's names for requests that have ended, and when the leader lets go of them."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import Future

IDLE_SECONDS = 0.1
"""For how long they are kept when nothing more is sent."""


class Spent:
    """Futures of requests that have ended.

    Dask holds back for some milliseconds what follows upon a message. A chain sends its next request just when one has ended, so
    letting go goes along with what is sent next instead of before it, or follows when there is nothing to send.
    """

    def __init__(self) -> None:
        self._futures: list[Future[Any]] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: Future[Any]) -> None:
        """Let go of this one later."""
        self._futures.append(future)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.let_go)

    def let_go(self) -> None:
        """Let go of all of them now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        futures, self._futures = self._futures, []
        for future in futures:
            future.release()
