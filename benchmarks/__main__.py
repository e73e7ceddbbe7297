"""Measure, show the table, and on demand write it into docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import cases, catalog, document, machine, table
from benchmarks.cases import Case
from benchmarks.catalog import ROOT, Subject
from benchmarks.figures import Results
from benchmarks.targets import judge
from benchmarks.trial import Trial, attempt

SAVED = ROOT / "benchmarks" / ".results" / "latest.json"
LEADER = ROOT / "benchmarks" / "leader.py"


def parser() -> argparse.ArgumentParser:
    parsing = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parsing.add_argument("--cases", nargs="*", choices=cases.BY_KEY, default=list(cases.BY_KEY), metavar="CASE", help=", ".join(cases.BY_KEY))
    parsing.add_argument("--subjects", nargs="*", choices=catalog.BY_KEY, default=list(catalog.BY_KEY), metavar="SUBJECT", help=", ".join(catalog.BY_KEY))
    parsing.add_argument("--rounds", type=int, default=3, help="how often each is run, in turns (default 3)")
    parsing.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="how many jobs may run at a time")
    parsing.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), help="where job stores are made")
    parsing.add_argument("--no-leader", action="store_true", help="leave out what the leader alone costs")
    parsing.add_argument("--document", action="store_true", help="write the results into docs/benchmarks.md")
    parsing.add_argument("--keep", action="store_true", help="keep the last run's results of what is not measured now")
    parsing.add_argument("--saved", action="store_true", help="measure nothing; show the results of the last run")
    return parsing


def main() -> None:
    given = parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if given.saved:
        found = json.loads(SAVED.read_text())
    else:
        found = {"machine": machine.describe(given.cores, given.scratch.resolve()), "leader": [], "trials": []}
        if given.keep:
            found = {**json.loads(SAVED.read_text()), "machine": found["machine"]}
        for trials in measure_all(given.cases, given.subjects, given.rounds, given.cores, given.scratch):
            found["trials"] = merged(found["trials"], [trial.as_dict() for trial in trials])
            save(found)
        if not given.no_leader:
            found["leader"] = leader_rows()
        found["machine"]["Load after"] = machine.load()
        save(found)
    results = Results(Trial(**trial) for trial in found["trials"])
    show(results, found["leader"], found["machine"])
    if given.document:
        document.put(document.render(results, found["leader"], found["machine"]))


def save(found: dict[str, Any]) -> None:
    """Keep what was measured so far."""
    SAVED.parent.mkdir(exist_ok=True)
    SAVED.write_text(json.dumps(found, indent=1))


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Old and new trials, the new ones in the place of their like, in the order of the table."""
    trials = {(trial["case"], trial["subject"]): trial for trial in [*old, *new]}
    order = [(case.key, subject) for case in cases.CASES for subject in case.subjects]
    return [trials[key] for key in order if key in trials]


def measure_all(case_keys: Sequence[str], subject_keys: Sequence[str], rounds: int, cores: int, scratch: Path) -> Iterator[list[Trial]]:
    """Run case after case; within a case the subjects take turns, so that a slow minute hits them all."""
    for case in (cases.BY_KEY[key] for key in case_keys):
        entered = list(entries(case, subject_keys))
        for turn in range(case.rounds * rounds):
            for subject, trial in entered:
                if not trial.error and (subject.rounds is None or turn < subject.rounds):
                    print(f"{case.key}: {subject.key}, run {turn + 1}", file=sys.stderr, flush=True)
                    attempt(case, subject, trial, cores, scratch)
                    print(f"    {trial.error or trial.runs[-1]}", file=sys.stderr, flush=True)
        yield [trial for _, trial in entered]


def entries(case: Case, subject_keys: Sequence[str]) -> Iterator[tuple[Subject, Trial]]:
    for subject in (catalog.BY_KEY[key] for key in case.subjects if key in subject_keys):
        size = subject.sizes.get(case.key, case.size)
        if size:
            error = "" if subject.installed else f"not installed: {catalog.how_to_install(subject)}"
            yield subject, Trial(case.key, subject.key, size, case.jobs(size), error=error)


def leader_rows() -> list[dict[str, Any]]:
    """What the leader alone costs, as `benchmarks.leader` measures it; nothing where that is not there."""
    if not LEADER.exists():
        return []
    print("the leader alone", file=sys.stderr, flush=True)
    said = subprocess.run([sys.executable, "-m", "benchmarks.leader", "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in said.stdout.splitlines()]


def show(results: Results, leader: Sequence[dict[str, Any]], described: dict[str, str]) -> None:
    """Print tables, machine and targets."""
    print(table.text(table.HEAD, table.rows(results)))
    for row in leader:
        print("leader alone:", ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.items()))
    print("\n" + "\n".join(f"{name}: {value}" for name, value in described.items()) + "\n")
    print(table.text(table.TARGET_HEAD, table.target_rows(judge(results, leader))))


if __name__ == "__main__":
    main()
