"""Put the results into docs/benchmarks.md, between its markers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.catalog import ROOT, SUBJECTS, how_to_install
from benchmarks.figures import Results
from benchmarks.targets import judge

DOCUMENT = ROOT / "docs" / "benchmarks.md"


def render(results: Results, leader: Sequence[Mapping[str, Any]], machine: Mapping[str, str]) -> str:
    """The part between the markers."""
    verdicts = judge(results, [dict(row) for row in leader])
    parts = [
        "## Targets",
        table.markdown(table.TARGET_HEAD, table.target_rows(verdicts)),
        "## Results",
        table.main_markdown(results),
        leader_part(leader),
        "## Machine and versions",
        table.markdown(("", ""), [(name, value) for name, value in machine.items()]),
    ]
    missing = [f"{subject.title} is not installed: `{how_to_install(subject)}`" for subject in SUBJECTS if not subject.installed]
    return "\n\n".join([*(part for part in parts if part), *missing])


def leader_part(leader: Sequence[Mapping[str, Any]]) -> str:
    """The leader's own figures."""
    if not leader:
        return ""
    head = list(leader[0])
    body = [tuple(_cell(row.get(name)) for name in head) for row in leader]
    return "## The leader alone\n\n" + table.markdown([name.replace("_", " ") for name in head], body)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value if value is not None else "–")


def put(text: str, document: Path = DOCUMENT, name: str = "results") -> None:
    """Replace what is between two markers.

    Args:
        text: What to put there.
        document: The file.
        name: What the markers begin with.

    Raises:
        ValueError: The document has no such markers.
    """
    begins, ends = f"<!-- {name} begin -->", f"<!-- {name} end -->"
    before, begin, rest = document.read_text().partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise ValueError(f"{document} lacks the markers {begins} and {ends}")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
