"""The requests that a worker host has, and how many those are for whoever wants to take the machine away."""

from __future__ import annotations

from collections.abc import Callable

from toil_core.worker.epoch import Epoch
from toil_core.worker.running import Running


class Held(dict[str, tuple[Epoch, Running]]):
    """Requests that have begun and not ended, by id: also while none of their jobs runs, as between two of them.

    Args:
        tell: Told how many they are, whenever that changes, and whether the machine goes.
    """

    def __init__(self, tell: Callable[[int, bool], None]) -> None:
        super().__init__()
        self._tell = tell
        self._winding_down = False

    def __setitem__(self, id: str, held: tuple[Epoch, Running]) -> None:
        super().__setitem__(id, held)
        held[1].chains = held[1].chains and not self._winding_down
        self._tell(len(self), self._winding_down)

    def __delitem__(self, id: str) -> None:
        super().__delitem__(id)
        self._tell(len(self), self._winding_down)

    def wind_down(self) -> None:
        """From now on a request ends with the jobs that it came with; what they add is run elsewhere."""
        self._winding_down = True
        for _, running in self.values():
            running.chains = False
        self._tell(len(self), True)
