"""How many processors there are."""

import os


def cpu_count() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))
