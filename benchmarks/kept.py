"""Figures of earlier runs, kept beside the sources, so that a table can be made of what was measured one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.catalog import ROOT

FOLDER = ROOT / "benchmarks" / ".results"


def rows(name: str) -> list[dict[str, Any]]:
    """All figures that were kept under the name, in the order in which their cases were first measured."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def keep(name: str, row: Mapping[str, Any], case: Sequence[str]) -> None:
    """Keep the figures of a case, in the place of those of the last time.

    Args:
        name: What they are of.
        row: The figures.
        case: Which of them tell the case.
    """
    of = {tuple(each[key] for key in case): each for each in rows(name)}
    of[tuple(row[key] for key in case)] = dict(row)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps([*of.values()], indent=1))
