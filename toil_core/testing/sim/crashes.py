"""Where leaders can die: every operation of theirs on the store, before and after it, and every wait."""

from __future__ import annotations

from collections.abc import Iterator

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.world import World

SEED = 1


def crashed(shape: str, faults: tuple[Fault, ...] = ()) -> Report:
    """A run of a small workflow in which its leaders die there, and nothing else goes wrong.

    Args:
        shape: The workflow's name.
        faults: Where they die.
    """
    return World(Program(SHAPES[shape]()), SEED, faults=faults).run()


def placements(shape: str, crashes: int) -> Iterator[tuple[Fault, ...]]:
    """Every way to have that many crashes, one after another.

    What can go wrong after a crash depends on it, so each way but its last crash is run to find what comes after it.

    Args:
        shape: The workflow's name.
        crashes: How many.
    """
    former: tuple[Fault, ...]
    for former in placements(shape, crashes - 1) if crashes > 1 else iter([()]):
        possible = crashed(shape, former).crashes
        start = possible.index(former[-1]) + 1 if former else 0
        for fault in possible[start:]:
            yield (*former, fault)
