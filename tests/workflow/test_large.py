"""Large workflows as the user's program makes them: what one more job costs does not depend on how many there are."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from benchmarks.shapes import SHAPES, perform
from tests.counting import calls
from toil_core.options import Config
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.policy import Policy

SMALL, LARGE = 400, 4000


@pytest.mark.parametrize("shape", ["fan-out", "fan-in", "chain"])
def test_a_job_costs_its_program_as_much_in_a_large_workflow(shape: str) -> None:
    policy = Policy.of(Config())
    found = [calls(lambda size=size: flatten_root(SHAPES[shape](size), "0", policy)) / size for size in (SMALL, LARGE)]  # type: ignore[misc]
    assert found[1] < 1.2 * found[0], found


@pytest.mark.timeout(300)
def test_a_chain_of_a_hundred_thousand_jobs_can_be_made_and_checked() -> None:
    flat, _ = flatten_root(SHAPES["chain"](100_000), "0", Policy.of(Config()))
    assert len(flat.jobs) == 100_001


@pytest.mark.parametrize("shape", SHAPES)
def test_it_runs_to_its_last_value(shape: str, tmp_path: Path) -> None:
    """A slice of what `make bench-scale` runs: each value is checked by the jobs themselves."""
    size = Random(f"large {shape}").randrange(100, 300)
    perform(shape, size, f"file:{tmp_path}/store")
