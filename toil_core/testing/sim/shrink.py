"""Taking faults away from a run that went wrong until only those are left that matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report


def shrink(faults: Sequence[Fault], run: Callable[[Sequence[Fault]], Report], tries: int = 500) -> Report:
    """The run with the fewest faults that still goes wrong in the same way.

    Halves are taken away first, then single ones, until none can be spared.

    Args:
        faults: Those of the run that went wrong.
        run: Runs it again with only these faults.
        tries: How often to run it at most.
    """
    best = run(faults)
    kind = _kind(best)
    size = max(1, len(best.faults) // 2)
    while size and tries > 0:
        start, shorter = 0, False
        while start < len(best.faults) and tries > 0:
            tries -= 1
            report = run([*best.faults[:start], *best.faults[start + size :]])
            if report.broken and _kind(report) == kind and len(report.faults) < len(best.faults):
                best, shorter = report, True
            else:
                start += size
        size = size if shorter and size == 1 else size // 2
    return best


def _kind(report: Report) -> str:
    """What went wrong, without the names and numbers of what it befell."""
    return " ".join(word for word in report.broken.split() if word.rstrip(":,").isalpha())[:40]
