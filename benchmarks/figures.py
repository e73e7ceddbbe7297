"""What the runs come to: per job, and beside this engine's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.cases import BY_KEY as CASES
from benchmarks.catalog import OURS
from benchmarks.trial import Trial


@dataclass(frozen=True)
class Figures:
    """What one subject did in one case.

    Args:
        trial: Its runs.
        rate: Jobs per second, the best run, from the first job's making to the last value.
        cpu: Processor seconds of all processes, the best run: per job beyond what a workflow of one job
            costs where jobs are what counts, else of the whole.
        ratio: `cpu` beside this engine's; None when that was not measured.
    """

    trial: Trial
    rate: float | None
    cpu: float
    ratio: float | None = None


class Results:
    """All trials of a run of the benchmarks.

    Args:
        trials: The trials, in the order of the table.
    """

    def __init__(self, trials: Iterable[Trial]) -> None:
        self.trials = list(trials)
        self._found = {(trial.case, trial.subject): trial for trial in self.trials}

    def trial(self, case: str, subject: str) -> Trial | None:
        """The trial, when it was run and went well."""
        found = self._found.get((case, subject))
        return found if found and found.runs else None

    def figures(self, case: str, subject: str) -> Figures | None:
        """What the subject did in the case, when that was measured."""
        trial = self.trial(case, subject)
        if trial is None:
            return None
        cpu, ours = self._cpu(trial), self.trial(case, OURS)
        beside = self._cpu(ours) if ours else 0.0
        rate = trial.jobs / trial.least("seconds") if CASES[case].each and trial.has("seconds") else None
        return Figures(trial, rate, cpu, cpu / beside if beside > 0 else None)

    def _cpu(self, trial: Trial) -> float:
        whole = trial.least("cpu")
        if not CASES[trial.case].each:
            return whole
        one = self.trial("one", trial.subject) or self.trial("one", OURS if trial.subject == "power" else trial.subject)
        return (whole - one.least("cpu")) / (trial.jobs - 1) if one else whole / trial.jobs
