"""What a batch system remembers of the requests that it was given, and keeps of what it has to tell."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from toil_core.batch_system import Request, Update


class UpdateQueue:
    """Updates that any thread puts in and the leader takes out; it has its own lock, and waits for no other."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._updates: list[Update] = []
        self._seen: set[str] = set()
        self._failure: Exception | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nobody takes updates any more."""
        return self._closed

    def new(self, requests: Sequence[Request]) -> list[Request]:
        """Those of the requests that were not given before, for `BatchSystem.submit`; none once it is closed."""
        with self._news:
            new = {request.id: request for request in requests if request.id not in self._seen and not self._closed}
            self._seen.update(new)
            return list(new.values())

    def tell(self, update: Update) -> None:
        """Put an update in."""
        with self._news:
            self._updates.append(update)
            self._news.notify_all()

    def fail(self, error: Exception) -> None:
        """Have `take` raise this once all updates are taken: nothing more will come."""
        with self._news:
            self._failure = error
            self._news.notify_all()

    def take(self, seconds: float | None = None) -> list[Update]:
        """All updates that are there, for `BatchSystem.updates`: waits until there is one, or until it is closed.

        Args:
            seconds: How long to wait at the most; None for ever.

        Raises:
            Exception: What `fail` was given.
        """
        with self._news:
            self._news.wait_for(lambda: self._updates or self._closed or self._failure, seconds)
            if self._failure is not None and not self._updates:
                raise self._failure
            found, self._updates = self._updates, []
            return found

    def close(self) -> None:
        """Let go of whoever waits, and take no more requests."""
        with self._news:
            self._closed = True
            self._news.notify_all()
