"""The protocol's model is explored completely; and each of its rules is needed."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest

from tests.protocol.explore import explore
from tests.protocol.model import DIAMOND, FAN, LINE, Bounds, Rules

ONE = replace(DIAMOND, losses=1)
DAMAGE = replace(LINE, losses=1, damage=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("bounds", "states"), [(ONE, 150_000), (replace(FAN, losses=0), 32_000), (DAMAGE, 60_000)], ids=["diamond", "fan", "damage"])
def test_nothing_is_wrong_in_any_state(bounds: Bounds, states: int) -> None:
    found = explore(bounds)
    assert not found.broken, found.trace
    assert found.states > states  # far fewer would be another protocol


NEEDED = {
    "create_commits": "tried again",
    "create_checkpoints": "writes a checkpoint after",
    "create_leaders": "two leaders hold epoch 1",
    "void_first": "tried again",
    "believe_commits": "tried again",
    "bury_first": "that is to be read was removed",
    "checkpoint_first": "are gone",
    "keep_one_longer": "something else counts",
    "read_open": "after a restart it would be None",
    "ignore_settled": "are gone",
    "fold_at_once": "counts after a restart",
    "keep_needed": "the value of job 0 is gone",
}
"""What goes wrong without each rule."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rule", "words"), NEEDED.items())
def test_each_rule_is_needed(rule: str, words: str) -> None:
    found = explore(DAMAGE if rule == "keep_one_longer" else ONE, replace(Rules(), **{rule: False}))
    assert found.broken, "nothing goes wrong without it"
    assert re.search(words, found.broken), (found.broken, found.trace)


def test_every_rule_is_tried() -> None:
    assert {each.name for each in fields(Rules)} == set(NEEDED)
