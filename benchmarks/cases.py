"""What is measured, and on whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ENGINES = ("ours", "on_dask", "toil", "dask", "parsl", "ray", "luigi")
_VARIANTS = ("ours", "power", "shared", "on_dask", "toil", "dask", "parsl", "ray", "luigi", "fork", "true", "python")


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Args:
        key: Short name, as on the command line.
        title: As in the table.
        script: Which case of the subjects' scripts; empty for the help.
        size: Jobs, depth of the tree, or MiB of the file.
        subjects: Who does it.
        rounds: Factor on the number of rounds.
        each: Whether time per job is what counts; else the whole is.
        limit: Seconds that one run may take.
    """

    key: str
    title: str
    script: str
    size: int
    subjects: Sequence[str]
    rounds: int = 1
    each: bool = True
    limit: float = 400.0

    def jobs(self, size: int) -> int:
        """How many jobs a run of that size has, as the user counts them."""
        if self.key == "file":
            return 11
        return 2 ** (size + 1) - 1 if self.key == "tree" else size


CASES: Sequence[Case] = (
    Case("help", "`--help`", "", 1, ("ours", "toil", "dask", "ray", "luigi"), rounds=2, each=False),
    Case("one", "A workflow of one job", "fan", 1, _VARIANTS, each=False),
    Case("fan200", "Fan-out of 200 jobs that do nothing", "fan", 200, _VARIANTS),
    Case("fan2000", "Fan-out of 2,000 jobs that do nothing", "fan", 2000, _VARIANTS),
    Case("fan20000", "Fan-out of 20,000 jobs that do nothing", "fan", 20000, _VARIANTS),
    Case("chain", "Chain of 1,000 jobs", "chain", 1000, ENGINES),
    Case("tree", "Binary tree that grows while it runs, depth 8", "tree", 8, ENGINES),
    Case("file", "A file of 100 MiB, written by one job and read by ten", "file", 100, (*ENGINES, "cp"), each=False),
    Case("restart", "Fan-out of 2,000 jobs, leader killed (-9) at half, restarted", "fan", 2000, ("ours",)),
)
BY_KEY = {case.key: case for case in CASES}
