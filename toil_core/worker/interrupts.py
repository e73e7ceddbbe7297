"""Asking requests of a worker host to end in good order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toil_core.batch_system import Reason
from toil_core.worker.epoch import Epoch
from toil_core.worker.loop import Loop
from toil_core.worker.messages import Interrupt
from toil_core.worker.running import Running
from toil_core.worker.server_process import ServerProcess


class Interrupts:
    """Has SIGTERM sent to what requests run, and ends what does not heed it in time.

    Args:
        loop: The host's loop.
        requests: What the host knows of; looked at in the loop's thread.
        abandon: Ends a request.
        watch: Sees to it that what was sent to a fork server arrives.
    """

    def __init__(
        self,
        loop: Loop,
        requests: Mapping[str, tuple[Epoch, Running]],
        abandon: Callable[[Epoch, Running, Reason, str], None],
        watch: Callable[[Epoch, ServerProcess], None],
    ) -> None:
        self._loop = loop
        self._requests = requests
        self._abandon = abandon
        self._watch = watch

    def ask(self, request: str, seconds: float) -> None:
        """Send SIGTERM to the attempt that the request runs; what it commits counts. From any thread.

        Args:
            request: The request's id.
            seconds: When to end it with all its processes, if it still runs then; at once if nothing of it has started.
        """
        self._loop.call(lambda: self._ask(request, seconds))

    def _ask(self, request: str, seconds: float) -> None:
        found = self._requests.get(request)
        if found is None:
            return
        epoch, running = found
        if not running.flying or epoch.server is None:
            if not running.settling and not running.committing:  # else it has just ended by itself
                self._abandon(epoch, running, Reason.CANCELLED, "")
            return
        running.ready.clear()
        epoch.server.send(Interrupt(running.number))
        self._watch(epoch, epoch.server)
        self._loop.later(seconds, lambda: self._late(request, running, seconds))

    def _late(self, request: str, running: Running, seconds: float) -> None:
        found = self._requests.get(request)
        if found is not None and found[1] is running:
            self._abandon(*found, Reason.CANCELLED, f"did not end in the {seconds:g} s that it was given for that")
