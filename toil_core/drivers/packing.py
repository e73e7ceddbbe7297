"""Which waiting requests start now on one machine. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from toil_core.batch_system import Request, Requirement
from toil_core.sizes import cores, count, rounded_size

LOOK_AHEAD = 1000
"""How many waiting requests are considered beyond one that does not fit."""
PATIENCE = 64
"""How many later requests may start before one that does not fit; then everything waits for it, if it fits beside what lasts."""


class Packing:
    """Cores, memory, disk and graphics processors of one machine, shared out to requests as they came.

    Args:
        total: What there is in all.
        scale: Every request's cores are multiplied by it.
    """

    def __init__(self, total: Requirement, scale: float = 1.0) -> None:
        self.total = total
        self.scale = scale
        self._cores, self._memory, self._disk = total.cores, total.memory, total.disk
        self._gpus = set(range(_count(total)))
        self._waiting: deque[Request] = deque()
        self._held: dict[str, tuple[float, int, int, tuple[int, ...]]] = {}
        self._lasting: dict[str, Requirement] = {}
        self._overtaken: dict[str, int] = {}

    def refusal(self, needed: Requirement) -> str:
        """Why such a request can never run here; empty when it can."""
        total = self.total
        scaled_cores = needed.cores * self.scale
        if scaled_cores > total.cores:
            scaled = f" (times the scale of {self.scale:g})" if self.scale != 1.0 else ""
            return f"asks for {cores(needed.cores)}{scaled}; this machine has {total.cores:g}"
        for name, asked, there in (("memory", needed.memory, total.memory), ("disk", needed.disk, total.disk)):
            if asked > there:
                return f"asks for {rounded_size(asked)} of {name}; this machine has {rounded_size(there)}"
        if (unknown := _unknown(needed)) is not None:
            return f"asks for accelerators of which this machine knows none ({unknown})"
        if _count(needed) > _count(total):
            return f"asks for {count(_count(needed), 'accelerator')}; this machine has {_count(total)}"
        return ""

    def add(self, request: Request) -> None:
        """Let the request wait for its turn."""
        self._waiting.append(request)

    def remove(self, id: str) -> bool:
        """Let a waiting request go; whether there was one."""
        for request in self._waiting:
            if request.id == id:
                self._waiting.remove(request)
                self._overtaken.pop(id, None)
                return True
        return False

    def release(self, id: str) -> None:
        """A started request has ended."""
        self._lasting.pop(id, None)
        cores, memory, disk, gpus = self._held.pop(id)
        self._cores += cores
        self._memory += memory
        self._disk += disk
        self._gpus.update(gpus)
        if not self._held:  # fractions do not add up exactly
            self._cores = self.total.cores

    def start(self) -> Iterator[tuple[Request, tuple[int, ...]]]:
        """Requests that start now, each with its graphics processors."""
        waiting = self._waiting
        kept: list[Request] = []
        too_large: set[Requirement] = set()
        while waiting and len(kept) < LOOK_AHEAD and self._cores > 1e-9:
            request = waiting.popleft()
            needed = request.requirement
            if needed not in too_large and self._fits(needed):
                for other in kept[:1]:
                    self._overtaken[other.id] = self._overtaken.get(other.id, 0) + 1
                self._overtaken.pop(request.id, None)
                yield request, self._hold(request)
            else:
                kept.append(request)
                too_large.add(needed)
            if kept and self._overtaken.get(kept[0].id, 0) >= PATIENCE and self._fits_beside_what_lasts(kept[0].requirement):
                break
        waiting.extendleft(reversed(kept))

    def _fits(self, needed: Requirement) -> bool:
        return (
            needed.cores * self.scale <= self._cores + 1e-9
            and needed.memory <= self._memory
            and needed.disk <= self._disk
            and _count(needed) <= len(self._gpus)
        )

    def _fits_beside_what_lasts(self, needed: Requirement) -> bool:
        """Whether there will be room for it, although services go on until others, which wait behind it, have ended."""
        every = (needed, *self._lasting.values())
        return (
            sum(one.cores for one in every) * self.scale <= self.total.cores + 1e-9
            and sum(one.memory for one in every) <= self.total.memory
            and sum(one.disk for one in every) <= self.total.disk
            and sum(map(_count, every)) <= _count(self.total)
        )

    def _hold(self, request: Request) -> tuple[int, ...]:
        needed = request.requirement
        cores = needed.cores * self.scale
        gpus = tuple(sorted(self._gpus)[: _count(needed)])
        self._gpus.difference_update(gpus)
        self._cores -= cores
        self._memory -= needed.memory
        self._disk -= needed.disk
        self._held[request.id] = (cores, needed.memory, needed.disk, gpus)
        if request.lasting:
            self._lasting[request.id] = needed
        return gpus


def _count(needed: Requirement) -> int:
    return sum(accelerator.count for accelerator in needed.accelerators)


def _unknown(needed: Requirement) -> str | None:
    for wanted in needed.accelerators:
        for text, known in ((wanted.kind, "gpu"), (wanted.brand, "nvidia"), (wanted.api, "cuda"), (wanted.model, "")):
            if text and text.lower() != known:
                return text
    return None
