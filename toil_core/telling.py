"""Lines on standard error."""

from __future__ import annotations

import os
import sys


class Trouble(str):
    """A line that warns, for those too who want to hear of nothing else."""

    __slots__ = ()


def tell(line: str) -> None:
    """Show a line on standard error; when nobody can see it any more, what is told of goes on all the same."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # or Python complains again when it flushes at exit
