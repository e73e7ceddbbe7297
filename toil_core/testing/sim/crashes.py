"""Where leaders can die: every operation of theirs on the store, before and after it, and every wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.world import World

SEED = 1
_CHANGING = ("create", "write", "delete")


def crashed(shape: str, faults: tuple[Fault, ...] = ()) -> Report:
    """A run of a small workflow in which its leaders die there, and nothing else goes wrong.

    Args:
        shape: The workflow's name.
        faults: Where they die.
    """
    return World(Program(SHAPES[shape]()), SEED, faults=faults).run()


def placements(shape: str, crashes: int) -> Iterator[tuple[Fault, ...]]:
    """Every way to have that many crashes, one after another.

    What can go wrong after a crash depends on it, so each way but its last crash is run to find what comes after it. Of more than one
    crash, only such ways are given that differ in what is left behind.

    Args:
        shape: The workflow's name.
        crashes: How many.
    """
    if crashes == 1:
        yield from ((fault,) for fault in crashed(shape).crashes)
        return
    for former in placements(shape, crashes - 1) if crashes > 2 else ((fault,) for fault in distinct(crashed(shape).crashes)):
        possible = crashed(shape, former).crashes
        for fault in distinct(possible[possible.index(former[-1]) + 1 :]):
            yield (*former, fault)


def distinct(possible: Iterable[Fault]) -> Iterator[Fault]:
    """The first of all crashes in succession that leave the same behind.

    Between two waits a leader does everything at one point of simulated time, so it makes no difference whether it dies after an operation or before the
    next, nor before or after one that changes nothing.

    Args:
        possible: Where leaders can die, in the order of time.
    """
    former = ("", "")
    for fault in possible:
        _, number, what, *_ = fault.site.split()
        changed = fault.kind == "crash after" and what in _CHANGING
        if former != (number, "") or changed or fault.kind == "crash waiting":
            yield fault
        former = (number, "waits" if fault.kind == "crash waiting" else "")
