"""The way every subject's script is called: one case, its size, a folder; it prints one line of JSON.

The line holds `seconds`, the wall time from the first job's making to the last value, and for
a chain the hops. Everything else is measured from outside, over the whole life of the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import bodies

READERS = 10
"""How many jobs read the file of the case `file`."""
MEBI = 1 << 20


@dataclass
class Order:
    """What a subject is to do.

    Args:
        size: How many jobs; the depth of a tree; for a file its MiB.
        scratch: An empty folder of its own.
        cores: How many jobs may run at a time.
        variant: Which of its ways the subject is to take; empty for the usual one.
        options: More for that subject alone.
        seconds: Wall time of the part inside `timed`.
    """

    size: int
    scratch: Path
    cores: int
    variant: str = ""
    options: list[str] = field(default_factory=list)
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
        return str(self.scratch / "hops")

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
    """Carry out what the command line orders, and print what is known only from inside.

    Args:
        cases: For each case that the subject can do, what does it.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=cases)
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--variant", default="")
    given, options = parser.parse_known_args()
    order = Order(given.size, given.scratch, given.cores, given.variant, options)
    cases[given.case](order)
    print(json.dumps({"seconds": order.seconds, **_hops(order)}), flush=True)


def _hops(order: Order) -> dict[str, Any]:
    notes = Path(order.notes)
    if not notes.exists():
        return {}
    hops = bodies.hops(notes)
    return {"hop_p50": statistics.median(hops), "hop_p95": statistics.quantiles(hops, n=20)[18]} if len(hops) > 1 else {}
