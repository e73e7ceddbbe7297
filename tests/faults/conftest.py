"""Runs that are ended, whatever becomes of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.runs import Run


@pytest.fixture
def new_run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Makes runs, each in a folder of its own."""
    made: list[Run] = []

    def make(**arguments: Any) -> Run:
        made.append(Run(tmp_path / f"run-{len(made)}", **arguments))
        return made[-1]

    yield make
    for run in made:
        run.end()
