"""When to ask the job store for services that nobody has told to be up: such news can be lost, and jobs wait for it. Pure."""

from __future__ import annotations

from collections.abc import Collection

FIRST = 30.0
"""Seconds after a service was sent out at which its commit is looked for."""
MOST = 600.0
"""Seconds between two looks at most; each wait is twice as long as the one before."""


class Unheard:
    """Says when to look.

    Attributes:
        at: When to look next, in seconds since 1970; None when there is nothing to look for.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._pause = FIRST

    def sent(self, now: float) -> None:
        """A service was sent out."""
        self._pause = FIRST
        self.at = now + FIRST if self.at is None else min(self.at, now + FIRST)

    def due(self, starting: Collection[str], now: float) -> Collection[str]:
        """The requests whose commits to look for now.

        Args:
            starting: Those of services that are not up.
            now: Seconds since 1970.
        """
        if self.at is None or now < self.at:
            return ()
        self._pause = min(2 * self._pause, MOST)
        self.at = now + self._pause if starting else None
        return starting
