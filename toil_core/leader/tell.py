"""Tells plugins and the user's screen what the graph says has happened."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from toil_core.events import AttemptFailed, Event, JobDone, JobMessage, JobsAdded, JobsDropped, ServiceUp
from toil_core.leader.moves import Added, Command, Done, Dropped, Failed, Said, Up

Listener = Callable[[Event], object]
TOLD = frozenset({Added, Done, Dropped, Said, Up})
"""Commands that do nothing but tell of something."""
_log = logging.getLogger("toil.leader")


class Teller:
    """Turns the graph's commands into events for every listener.

    Args:
        listeners: Called with each event, in order. What one raises is logged once and it is not called again.
        now: Tells the time in seconds since 1970.
    """

    def __init__(self, listeners: Iterable[Listener], now: Callable[[], float] = time.time) -> None:
        self._listeners = list(listeners)
        self._now = now

    @property
    def heard(self) -> bool:
        """Whether anyone listens; otherwise no event need be made."""
        return bool(self._listeners)

    def tell(self, event: Event) -> None:
        """Hand the event to every listener."""
        for listener in self._listeners[:]:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  whatever a plugin's listener raises must not end the run
                _log.exception("a listener failed and is told nothing more")
                self._listeners.remove(listener)

    def command(self, command: Command) -> None:
        """Tell of a command that speaks of something that happened; others are ignored."""
        if not self._listeners:
            return
        now = self._now()
        match command:
            case Done():
                self.tell(JobDone(now, command.job, command.name, command.usage, command.requirement))
            case Added():
                self.tell(JobsAdded(now, command.names))
            case Failed():
                failure = command.failure
                self.tell(
                    AttemptFailed(
                        now, command.job, command.name, failure.reason, failure.message, failure.log, failure.tail,
                        command.final, command.tries_left, command.delay, command.usage, command.instead,
                    )
                )  # fmt: skip
            case Dropped():
                self.tell(JobsDropped(now, command.job, command.name, command.names))
            case Up():
                self.tell(ServiceUp(now, command.job, command.name))
            case Said():
                self.tell(JobMessage(now, command.job, command.name, command.level, command.text))
            case _:
                pass
