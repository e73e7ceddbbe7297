"""The search: thousands of runs with a mix of faults each, and every place where leaders can die. `make sim-long` does more."""

from __future__ import annotations

import pytest

from tests.testing.sim.command import check, toil_sim
from toil_core.testing.sim.scenarios import SCENARIOS
from toil_core.testing.sim.shapes import SHAPES

RUNS, CHUNK = 10_000, 500
SLICES = 7
ONE_SORT = [name for name in SCENARIOS if name != "swarm"]
ONE_SORT_RUNS = 100
TWO_CRASHES = 5
"""So many ways to die twice are tried of each small workflow."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_a_swarm(first: int) -> None:
    check(toil_sim("--seed", first, "--runs", CHUNK))


@pytest.mark.parametrize("scenario", ONE_SORT)
def test_faults_of_one_sort(scenario: str) -> None:
    check(toil_sim("--scenario", scenario, "--runs", ONE_SORT_RUNS))


def test_there_are_enough_small_workflows() -> None:
    assert len(SHAPES) >= 50


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(SLICES))
def test_leaders_that_die_once_wherever_they_can(part: int) -> None:
    check(toil_sim("--crashes", 1, "--scenario", ",".join(list(SHAPES)[part::SLICES])))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(2))
def test_leaders_that_die_twice(part: int) -> None:
    check(toil_sim("--crashes", 2, "--sample", TWO_CRASHES, "--scenario", ",".join(list(SHAPES)[part::2])))
