"""Runs of one subject at one case, and what they come to."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import bodies
from benchmarks.cases import Case
from benchmarks.catalog import Subject
from benchmarks.measure import Measured, TimedOut, measure
from benchmarks.restart import kill_and_restart
from benchmarks.subject import HOPS


@dataclass
class Trial:
    """The runs of one subject at one case.

    Args:
        case: The case's key.
        subject: The subject's key.
        size: What it was run with.
        jobs: How many jobs that is.
        runs: Of each run `wall`, `cpu`, `memory` (bytes), `ended`, and what the subject itself said.
        error: Why it could not be run; empty when it could.
    """

    case: str
    subject: str
    size: int
    jobs: int
    runs: list[dict[str, float]] = field(default_factory=list)
    error: str = ""

    def least(self, name: str) -> float:
        """The smallest of a figure over the runs."""
        return min(run[name] for run in self.runs)

    def median(self, name: str) -> float:
        """The median of a figure over the runs."""
        return statistics.median(run[name] for run in self.runs)

    def has(self, name: str) -> bool:
        """Whether the runs gave this figure."""
        return bool(self.runs) and name in self.runs[0]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to be stored."""
        return asdict(self)


def attempt(case: Case, subject: Subject, trial: Trial, cores: int, scratch: Path | None) -> None:
    """Run it once more, and add what was measured to the trial, or why it could not be."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=scratch))
    try:
        measured, more = _run(case, subject, trial.size, folder, cores)
    except (TimedOut, RuntimeError) as error:
        trial.error = str(error)
    else:
        if measured.status:
            trial.error = f"exit code {measured.status}: {_last_line(measured.err)}"
        else:
            figures = {"wall": measured.wall, "settled": measured.settled, "cpu": measured.cpu, "memory": measured.memory, "ended": measured.ended}
            trial.jobs = more.pop("jobs", trial.jobs)
            trial.runs.append({**figures, **more})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(case: Case, subject: Subject, size: int, folder: Path, cores: int) -> tuple[Measured, dict[str, Any]]:
    if case.key == "restart":
        return kill_and_restart(subject, size, folder, cores, case.limit)
    command = subject.command(case.script, size, folder, cores) if case.script else subject.help_command()
    measured = measure(command, cwd=folder, environment=subject.environment(), limit=case.limit)
    if measured.status or not case.script:
        return measured, {}
    return measured, {**json.loads(measured.out.splitlines()[-1]), **_hops(folder / HOPS)}


def _hops(notes: Path) -> dict[str, float]:
    """Median and 95th percentile of the seconds from the end of a link of a chain to the beginning of the next."""
    hops = bodies.hops(notes) if notes.exists() else []
    return {"hop_p50": statistics.median(hops), "hop_p95": statistics.quantiles(hops, n=20)[18]} if len(hops) > 1 else {}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else "no message"
