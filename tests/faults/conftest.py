"""What is ended and removed, whatever becomes of the test: runs and file systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.runs import Run
from toil_core.testing import needs


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    with needs.small_disk(tmp_path / "disk") as folder:
        yield folder
