"""Which of a machine's accelerators a request gets. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from toil_core.batch_system import Accelerator


class Devices:
    """A machine's accelerators, numbered from 0 in the order of the offer.

    Args:
        offered: What there is.
    """

    def __init__(self, offered: Iterable[Accelerator]) -> None:
        self._kinds = [one for one in offered for _ in range(one.count)]
        self._taken: set[int] = set()

    def find(self, wanted: Sequence[Accelerator], taken: Collection[int] | None = None) -> tuple[int, ...] | None:
        """The numbers of free devices that do; None when there are not enough.

        Args:
            wanted: What is asked for, all of it at once.
            taken: Devices that are not free; those in use if not given.
        """
        not_free = self._taken if taken is None else taken
        left = [number for number in range(len(self._kinds)) if number not in not_free]
        found: list[int] = []
        for one in wanted:
            fitting = [number for number in left if does(self._kinds[number], one)][: one.count]
            if len(fitting) < one.count:
                return None
            found += fitting
            left = [number for number in left if number not in fitting]
        return tuple(found)

    def take(self, numbers: Iterable[int]) -> None:
        """These are in use."""
        self._taken.update(numbers)

    def give_back(self, numbers: Iterable[int]) -> None:
        """These are free again."""
        self._taken.difference_update(numbers)


def does(offered: Accelerator, wanted: Accelerator) -> bool:
    """Whether such a device is of the kind that is asked for."""
    pairs = ((offered.kind, wanted.kind), (offered.model, wanted.model), (offered.brand, wanted.brand), (offered.api, wanted.api))
    return all(not asked or asked.lower() == there.lower() for there, asked in pairs)
