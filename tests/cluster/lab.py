"""A lab of simulated hosts for a test, or no test where there can be none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.simhosts import Lab, missing
from toil_core.testing.needs import need


@contextmanager
def a_lab() -> Iterator[Lab]:
    """A lab, removed with all its hosts. Skips where there can be none; CI must have one."""
    need(missing())
    folder = Path(tempfile.mkdtemp(prefix="toil-lab-"))
    lab = Lab(folder / "lab")
    try:
        lab.up()
        yield lab
    finally:
        lab.down()
        shutil.rmtree(folder)
