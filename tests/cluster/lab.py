"""A lab of simulated hosts for a test, or no test where there can be none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.simhosts import Lab, missing


@contextmanager
def a_lab() -> Iterator[Lab]:
    """A lab, removed with all its hosts. Skips where there can be none; CI must have one."""
    if missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing())
    folder = Path(tempfile.mkdtemp(prefix="toil-lab-"))
    lab = Lab(folder / "lab")
    try:
        lab.up()
        yield lab
    finally:
        lab.down()
        shutil.rmtree(folder)
