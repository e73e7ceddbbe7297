"""Where leaders die: of ways that leave the same behind, one is enough."""

from __future__ import annotations

import pytest

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.crashes import crashed, distinct, placements


def left(shape: str, fault: Fault) -> list[str]:
    """Everything that was done up to a leader's death."""
    lines = crashed(shape, (fault,)).trace
    site = fault.site.removesuffix(" then").removesuffix(" leader")
    end = next(place for place, line in enumerate(lines) if line.endswith(f"{site}: {fault.kind}"))
    return [line for line in lines[:end] if " read " not in line]


@pytest.mark.parametrize("shape", ["single", "service"])
def test_deaths_that_are_left_out_leave_the_same_behind_as_one_that_is_not(shape: str) -> None:
    possible = crashed(shape).crashes
    kept = set(distinct(possible))
    assert possible[0] in kept and len(kept) < 0.7 * len(possible)
    former: list[str] = []
    for fault in possible:
        found = left(shape, fault)
        if fault in kept:
            former = found
        assert found == former, fault


def test_all_deaths_are_tried_when_there_is_one_and_distinct_ones_when_there_are_two() -> None:
    possible = crashed("single").crashes
    assert [fault for (fault,) in placements("single", 1)] == possible
    pairs = list(placements("single", 2))
    assert len(pairs) == len(set(pairs)) and {first for first, _ in pairs} == set(distinct(possible))
