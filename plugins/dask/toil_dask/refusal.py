"""Why a request fits on none of some nodes, for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from toil_core.batch_system import Accelerator, Requirement
from toil_core.devices import Devices
from toil_core.room import Room
from toil_core.sizes import cores, rounded_size


def refusal(needed: Requirement, offers: Sequence[Requirement]) -> str:
    """Why the request would fit on none of these nodes even if they were empty; empty when it would on one.

    Args:
        needed: What the request needs.
        offers: What each node has; at least one.
    """
    if any(_fits(needed, offer) for offer in offers):
        return ""
    largest = max(offer.cores for offer in offers)
    if needed.cores > largest:
        return f"asks for {cores(needed.cores)}; the largest node has {largest:g}"
    for name, asked, most in (
        ("memory", needed.memory, max(offer.memory for offer in offers)),
        ("disk", needed.disk, max(offer.disk for offer in offers)),
    ):
        if asked > most:
            return f"asks for {rounded_size(asked)} of {name}; the largest node has {rounded_size(most)}"
    if not any(_has_devices(needed, offer) for offer in offers):
        return f"asks for accelerators ({', '.join(map(_words, needed.accelerators))}); no node has these"
    if not needed.preemptible and all(offer.preemptible for offer in offers):
        return "may not be preempted; every node can be"
    return (
        f"asks for {cores(needed.cores)}, {rounded_size(needed.memory)} of memory and {rounded_size(needed.disk)} of disk"
        f"{', and accelerators,' if needed.accelerators else ''} at once; no one node{'' if needed.preemptible else ' that cannot be preempted'} has it all"
    )


class Largest:
    """The largest nodes that were ever there, and what was said to be too large for them."""

    def __init__(self) -> None:
        self._offers: list[Requirement] = []
        self._told: set[Requirement] = set()

    def join(self, offer: Requirement) -> None:
        """Such a node is there."""
        if offer not in self._offers:
            self._offers.append(offer)
        self._told.clear()

    def refusal(self, needed: Requirement) -> str:
        """Why such a request fits none of them; empty when it fits one, or nothing is known yet."""
        return refusal(needed, self._offers) if self._offers else ""

    def is_news(self, needed: Requirement) -> bool:
        """Whether nobody was told so of such a request since the last node joined; it counts as told now."""
        if needed in self._told:
            return False
        self._told.add(needed)
        return True


def _fits(needed: Requirement, offer: Requirement) -> bool:
    return (needed.preemptible or not offer.preemptible) and Room(offer).fits(needed)


def _has_devices(needed: Requirement, offer: Requirement) -> bool:
    return not needed.accelerators or Devices(offer.accelerators).find(needed.accelerators, ()) is not None


def _words(wanted: Accelerator) -> str:
    return " ".join(filter(None, (str(wanted.count), wanted.brand, wanted.model, wanted.kind, wanted.api)))
