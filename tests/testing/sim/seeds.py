"""Finds, for everything that is wrong on purpose, the first seed with which that is told, for the tests to store.

    python -m tests.testing.sim.seeds [WORDS]

Only those in whose name the words are, if any are given. It takes a minute or two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.testing.sim import test_faults, test_invariants, test_sensitivity
from tests.testing.sim.test_invariants import Patch
from toil_core.testing.sim.scenarios import named

SEEDS = 1000


def told(scenario: str, words: str, seed: int) -> bool:
    """Whether that is told with the seed."""
    report = named(scenario).world(seed).run()
    return bool(report.broken) and words in report.broken


def cases() -> Iterator[tuple[str, Patch, Callable[[int], object], int]]:
    """Of each case its name, what is wrong, whether that is told with a seed, and the seed that is stored."""
    for words, (patch, scenario, seed) in test_invariants.FIRES.items():
        yield f"invariant: {words}", patch, partial(told, scenario, words), seed
    for engine, (scenario, seed) in test_sensitivity.WRONG.items():
        yield f"engine: {getattr(engine, '__name__', engine)}", engine, partial(told, scenario, ""), seed
    for kind, bite in test_faults.BITES.items():
        yield f"fault: {kind}", bite.patch, partial(bite.bites, kind), bite.seed


def main(words: str) -> None:
    """Look for all of them, and tell."""
    for name, patch, holds, stored in cases():
        if words in name:
            with pytest.MonkeyPatch.context() as patching:
                patch(patching)
                found = next((seed for seed in range(SEEDS) if holds(seed)), None)
            print(f"{name}: {found}{'' if found == stored else f', and {stored} is stored'}", flush=True)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
