"""What the protocol's model says is what the real graph, leaders and commits do: key by key, after every step."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.protocol.model import DIAMOND, FAN, Action, Bounds, Protocol
from tests.protocol.real import Stage


@pytest.mark.parametrize("bounds", [replace(DIAMOND, losses=3), replace(FAN, losses=3)], ids=["diamond", "fan"])
def test_the_model_is_true(bounds: Bounds) -> None:
    seen: Counter[object] = Counter()
    for seed in range(60):
        seen.update(action[0] for action in walk(bounds, seed))
    assert set(seen) == {
        "list leaders", "claim", "bury", "read checkpoint", "list commits", "read commits", "checkpoint", "sweep", "delete",
        "hear", "lose", "commit", "finish",
    }  # fmt: skip


def walk(bounds: Bounds, seed: int) -> list[Action]:
    """A way through the model by chance, to its end, with the real things doing the same."""
    protocol, chance = Protocol(bounds), random.Random(seed)
    state, stage = protocol.start, Stage(bounds)
    trace: list[Action] = []
    try:
        while True:
            possible = list(protocol.next(state))
            if not possible:
                return trace
            action, after = chance.choice(possible)
            trace.append(action)
            try:
                stage.act(action)
                stage.compare(after)
                protocol.check(after)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {[*map(str, trace)]}") from error
            state = after
    finally:
        stage.close()
