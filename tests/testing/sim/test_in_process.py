"""Some runs of each kind in this process, so that one that goes wrong is seen at its place in the code; `test_swarm.py` does many more."""

from __future__ import annotations

import pytest

from toil_core.testing.sim.conditions import Conditions
from toil_core.testing.sim.program import Plan, Program
from toil_core.testing.sim.scenarios import SCENARIOS, SHAPE, named
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.world import World

HARSH = 20_000
"""Seeds from here on are not those of the other tests."""
EACH = 8
"""Runs of each scenario."""
DROPPED = [(seed, crashes) for seed in (38, 110, 313, 389, 397, 416, 439, 443) for crashes in (0.0, 0.04)]
"""Runs in which jobs are dropped while they run, with and without leaders that die."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_small_workflow(shape: str) -> None:
    report = named(SHAPE + shape).world(HARSH).run()
    assert not report.broken, report.broken


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_random_workflow(scenario: str) -> None:
    for seed in range(HARSH, HARSH + EACH):
        report = named(scenario).world(seed).run()
        assert not report.broken, f"seed {seed}: {report.broken}"


@pytest.mark.parametrize(("seed", "crashes"), DROPPED)
def test_no_file_is_left_of_what_was_dropped_while_it_ran(seed: int, crashes: float) -> None:
    """Files of dropped attempts stayed when their worker went down without a word, and when a leader did meanwhile."""
    beside = [Plan(f"beside{number}", seconds=8.0, writes=True) for number in range(2)]
    top = Plan("top", checkpoint=True, adds_children=[Plan("broken", seconds=5.0, fails=1, tries=1), *beside])
    mix = {"worker killed": 0.3, "node lost": 0.2, "cut off": 0.3, "error before": 0.2}
    mix |= {"crash waiting": crashes, "crash after": crashes / 4} if crashes else {}
    report = World(Program(Plan("root", adds_children=[top])), seed, Conditions(mix, cores=4)).run()
    assert not report.broken, report.broken
