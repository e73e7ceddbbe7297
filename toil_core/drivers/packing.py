"""Which waiting requests start now on one machine. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from toil_core.batch_system import Request, Requirement
from toil_core.devices import Devices
from toil_core.room import Room
from toil_core.sizes import cores, count, rounded_size
from toil_core.waiting_line import WaitingLine

Here = Literal["here"]


class Packing:
    """Cores, memory, disk and graphics processors of one machine, shared out to requests as they came.

    Args:
        total: What there is in all.
        scale: Every request's cores are multiplied by it.
    """

    def __init__(self, total: Requirement, scale: float = 1.0) -> None:
        self.total = total
        self.scale = scale
        self._room = Room(total)
        self._line: WaitingLine[Here] = WaitingLine(self)

    def refusal(self, needed: Requirement) -> str:
        """Why such a request can never run here; empty when it can."""
        total = self.total
        if needed.cores * self.scale > total.cores:
            scaled = f" (times the scale of {self.scale:g})" if self.scale != 1.0 else ""
            return f"asks for {cores(needed.cores)}{scaled}; this machine has {total.cores:g}"
        for name, asked, there in (("memory", needed.memory, total.memory), ("disk", needed.disk, total.disk)):
            if asked > there:
                return f"asks for {rounded_size(asked)} of {name}; this machine has {rounded_size(there)}"
        if (unknown := _unknown(needed)) is not None:
            return f"asks for accelerators of which this machine knows none ({unknown})"
        if Devices(total.accelerators).find(needed.accelerators, ()) is None:
            return f"asks for {count(_count(needed), 'accelerator')}; this machine has {_count(total)}"
        return ""

    def add(self, request: Request) -> None:
        """Let the request wait for its turn."""
        self._line.add(request)

    def remove(self, id: str) -> bool:
        """Let a waiting request go; whether there was one."""
        return self._line.remove(id)

    def release(self, id: str) -> None:
        """A started request has ended."""
        self._room.release(id)
        self._line.more_room(lambda needed: self._room.fits(self._scaled(needed)))

    def start(self) -> Iterator[tuple[Request, tuple[int, ...]]]:
        """Requests that start now, each with its graphics processors."""
        for request, _ in self._line.turns():
            yield request, self._room.hold(request, self._scaled(request.requirement))

    def find(self, needed: Requirement, spared: Here | None) -> Here | None:
        """See `Places`."""
        return "here" if spared is None and self._room.fits(self._scaled(needed)) else None

    def find_in_the_end(self, needed: Requirement) -> Here | None:
        """See `Places`."""
        return "here" if self._room.fits_in_the_end(self._scaled(needed)) else None

    def may_queue(self, needed: Requirement, place: Here) -> bool:
        """See `Places`: nobody else starts anything here."""
        return False

    def _scaled(self, needed: Requirement) -> Requirement:
        return needed if self.scale == 1.0 else replace(needed, cores=needed.cores * self.scale)


def _count(needed: Requirement) -> int:
    return sum(accelerator.count for accelerator in needed.accelerators)


def _unknown(needed: Requirement) -> str | None:
    for wanted in needed.accelerators:
        for text, known in ((wanted.kind, "gpu"), (wanted.brand, "nvidia"), (wanted.api, "cuda"), (wanted.model, "")):
            if text and text.lower() != known:
                return text
    return None
