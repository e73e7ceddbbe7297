"""The table: the same rows for a terminal and for the document."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import cases, catalog
from benchmarks.figures import Results
from benchmarks.targets import Verdict
from benchmarks.trial import Trial

HEAD = ("Case", "Subject", "Jobs", "Wall s, least / median", "Jobs/s", "CPU-ms", "Ratio", "Peak MiB", "Remarks")
_RIGHT = range(2, 8)
Row = tuple[str, ...]


def rows(results: Results) -> list[Row]:
    """A row for each subject in each case; the case is named once."""
    table: list[Row] = []
    named = ""
    for trial in results.trials:
        case, subject = cases.BY_KEY[trial.case], catalog.BY_KEY[trial.subject]
        title = "" if case.key == named else case.title + (" (CPU per job)" if case.each else " (CPU of the whole)")
        named = case.key
        table.append((title, subject.title, *_cells(results, trial)))
    return table


def _cells(results: Results, trial: Trial) -> Row:
    figures = results.figures(trial.case, trial.subject)
    if figures is None:
        return ("", "–", "–", "–", "–", "–", trial.error)
    return (
        f"{trial.jobs:,}",
        f"{trial.least('wall'):.3g} / {trial.median('wall'):.3g}",
        f"{figures.rate:,.0f}" if figures.rate else "–",
        f"{figures.cpu * 1e3:.3g}" if figures.cpu > 0 else "–",
        f"{figures.ratio:.3g}" if figures.ratio and figures.ratio > 0 else "–",
        f"{max(run['memory'] for run in trial.runs) / 2**20:,.0f}",
        _remarks(trial),
    )


def _remarks(trial: Trial) -> str:
    remarks = [trial.error] if trial.error else []
    if trial.has("hop_p50"):
        remarks.append(f"hop p50 {trial.least('hop_p50') * 1e3:.2g} ms, p95 {trial.least('hop_p95') * 1e3:.2g} ms")
    if trial.has("again"):
        remarks.append(f"{max(run['again'] for run in trial.runs):.0f} jobs ran again")
    ended = max(run["ended"] for run in trial.runs)
    if ended:
        remarks.append(f"{ended:.0f} processes outlived it and were killed")
    return "; ".join(remarks)


def text(head: Sequence[str], body: Sequence[Row]) -> str:
    """The table for a terminal."""
    plain = [[cell.replace("`", "").replace("**", "") for cell in row] for row in (head, *body)]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) if i in _RIGHT else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in plain
    )


def markdown(head: Sequence[str], body: Sequence[Row], right: Sequence[int] = ()) -> str:
    """The table for the document."""
    rule = ["---:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, rule, *body))


def main_markdown(results: Results) -> str:
    """The main table for the document."""
    return markdown(HEAD, rows(results), _RIGHT)


TARGET_HEAD = ("Target", "Measured", "Met")


def target_rows(verdicts: Sequence[Verdict]) -> list[Row]:
    """A row for each target."""
    words = {True: "yes", False: "**no**", None: "not measured"}
    return [(verdict.target, verdict.measured or "–", words[verdict.met]) for verdict in verdicts]
