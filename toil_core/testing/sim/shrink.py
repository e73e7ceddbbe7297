"""Taking faults away from a run that went wrong until only those are left that matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report


def shrink(faults: Sequence[Fault], run: Callable[[Sequence[Fault]], Report], tries: int = 500) -> Report:
    """The run with the fewest faults that still goes wrong in the same way.

    Args:
        faults: Those of the run that went wrong.
        run: Runs it again with only these faults.
        tries: How often to run it at most.
    """
    best = run(faults)
    first = best

    def spared(start: int, stop: int) -> bool:
        nonlocal best, tries
        if tries <= 0:
            return False
        tries -= 1
        report = run([*best.faults[:start], *best.faults[stop:]])
        if not same(report, first) or len(report.faults) >= len(best.faults):
            return False
        best = report
        return True

    thin(lambda: len(best.faults), spared)
    return best


def thin(count: Callable[[], int], spared: Callable[[int, int], bool], first: int = 0) -> None:
    """Take items away, halves of them first, then single ones, until none can be spared.

    Args:
        count: How many there are still.
        spared: Takes those from one place up to another away when that can be, and tells whether it did.
        first: The first one that may go.
    """
    size = max(1, (count() - first) // 2)
    while size:
        start, shorter = first, False
        while start < count():
            if spared(start, start + size):
                shorter = True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2


def same(report: Report, other: Report) -> bool:
    """Whether both went wrong, and in the same way, whatever it befell.

    Args:
        report: What became of a run.
        other: What became of another.
    """
    return bool(report.broken) and _kind(report) == _kind(other)


def _kind(report: Report) -> str:
    """What went wrong, without the names and numbers of what it befell."""
    return " ".join(word for word in report.broken.split() if word.rstrip(":,").isalpha())[:40]
