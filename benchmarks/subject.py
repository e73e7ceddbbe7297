"""The way every subject's script is called: with one case, its size and a folder; it prints one line of JSON.

The line holds `seconds`, the wall time from the first job's making to the last value. Everything
else is measured from outside, over the whole life of the process; so this imports little.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READERS = 10
"""How many jobs read the file of the case `file`."""
MEBI = 1 << 20
HOPS = "hops"
"""File in the scratch folder where the links of a chain note their times."""


@dataclass
class Order:
    """What a subject is to do.

    Args:
        size: How many jobs; the depth of a tree; for a file its MiB.
        scratch: An empty folder of its own.
        cores: How many jobs may run at a time.
        variant: Which of its ways the subject is to take; empty for the usual one.
        fifo: Named pipe to say through that a job runs.
        seconds: Wall time of the part inside `timed`.
    """

    size: int
    scratch: Path
    cores: int
    variant: str = ""
    fifo: str = ""
    seconds: float = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """The part from the first job's making to the last value."""
        began = time.monotonic()
        yield
        self.seconds = time.monotonic() - began

    @property
    def notes(self) -> str:
        """The file where the links of a chain note their times."""
        return str(self.scratch / HOPS)

    @property
    def bytes(self) -> int:
        """The size of the file in bytes."""
        return self.size * MEBI

    def check(self, value: object, expected: object) -> None:
        """Refuse a result that is not what the case must give."""
        if value != expected:
            raise SystemExit(f"wrong result: {value!r:.200} instead of {expected!r:.200}")


Cases = Mapping[str, Callable[[Order], None]]


def perform(cases: Cases) -> None:
    """Carry out the order that the command line holds as JSON, and print what is known only from inside.

    Args:
        cases: For each case that the subject can do, what does it.
    """
    given = json.loads(sys.argv[1])
    case = given.pop("case")
    order = Order(**{**given, "scratch": Path(given["scratch"])})
    cases[case](order)
    print(json.dumps({"seconds": order.seconds}), flush=True)
