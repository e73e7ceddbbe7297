"""What there is on one machine, and what requests hold of it, for batch systems that share machines out themselves. Pure."""

from __future__ import annotations

from typing import NamedTuple

from toil_core.batch_system import Request, Requirement
from toil_core.devices import Devices

NOTHING = Requirement(cores=0)
_UNITS = 1_000_000
"""Parts of a core, in which cores add up exactly."""


class _Amounts(NamedTuple):
    """Cores in millionths, and bytes of memory and disk."""

    cores: int
    memory: int
    disk: int

    def plus(self, other: _Amounts, sign: int = 1) -> _Amounts:
        return _Amounts(self.cores + sign * other.cores, self.memory + sign * other.memory, self.disk + sign * other.disk)

    def hold(self, needed: Requirement, others: Requirement) -> bool:
        left = self if others is NOTHING else self.plus(_amounts(others), -1)
        return round(needed.cores * _UNITS) <= left.cores and needed.memory <= left.memory and needed.disk <= left.disk


class _Held(NamedTuple):
    amounts: _Amounts
    devices: tuple[int, ...]
    lasting: bool


class Room:
    """Cores, memory, disk and accelerators of one machine.

    Args:
        total: What there is in all.
    """

    def __init__(self, total: Requirement) -> None:
        self.total = total
        self._free = self._in_the_end = _amounts(total)
        self._devices = Devices(total.accelerators)
        self._held: dict[str, _Held] = {}

    def fits(self, needed: Requirement, others: Requirement = NOTHING) -> bool:
        """Whether there is room now.

        Args:
            needed: What is asked for.
            others: Cores, memory and disk that are held beside the requests known here.
        """
        return self._free.hold(needed, others) and (not needed.accelerators or self._devices.find(needed.accelerators) is not None)

    def fits_in_the_end(self, needed: Requirement, others: Requirement = NOTHING) -> bool:
        """Whether there will be room once all have ended but those that last; see `Request.lasting`.

        Args:
            needed: What is asked for.
            others: Cores, memory and disk that what lasts holds beside the requests known here.
        """
        if not self._in_the_end.hold(needed, others):
            return False
        return not needed.accelerators or self._devices.find(needed.accelerators, self._lasting_devices()) is not None

    def hold(self, request: Request, needed: Requirement | None = None) -> tuple[int, ...]:
        """Set aside what a request needs, for which there is room; the numbers of its accelerators.

        Args:
            request: The request.
            needed: What it needs here, when that is not what it says.
        """
        needed = needed or request.requirement
        held = _Held(_amounts(needed), self._devices.find(needed.accelerators) or (), request.lasting)
        self._devices.take(held.devices)
        self._held[request.id] = held
        self._add(held, -1)
        return held.devices

    def release(self, id: str) -> None:
        """A request that held something has ended."""
        held = self._held.pop(id)
        self._devices.give_back(held.devices)
        self._add(held, 1)

    @property
    def requests(self) -> tuple[str, ...]:
        """The ids of those that hold something."""
        return tuple(self._held)

    def free(self, others: Requirement = NOTHING) -> tuple[int, int, int]:
        """Millionths of cores, and bytes of memory and disk, that nobody holds, others included."""
        return self._free.plus(_amounts(others), -1)

    def _add(self, held: _Held, sign: int) -> None:
        self._free = self._free.plus(held.amounts, sign)
        if held.lasting:
            self._in_the_end = self._in_the_end.plus(held.amounts, sign)

    def _lasting_devices(self) -> set[int]:
        return {number for held in self._held.values() if held.lasting for number in held.devices}


def _amounts(needed: Requirement) -> _Amounts:
    return _Amounts(round(needed.cores * _UNITS), needed.memory, needed.disk)
