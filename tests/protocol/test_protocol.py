"""The protocol's model is explored completely; and each of its rules is needed."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.protocol.explore import explore
from tests.protocol.model import DIAMOND, FAN, LINE, Rules

ONE = replace(DIAMOND, losses=1)
DAMAGE = replace(LINE, losses=1, damage=True)


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
EXPLORED = {
    "three children, none lost": replace(FAN, losses=0),
    "two children and a job after them, none lost": replace(DIAMOND, losses=0),
    "two children and a job after them, one request lost in appearance": ONE,
    "three jobs in a line, one request lost in appearance, the last checkpoint perhaps damaged": DAMAGE,
}
"""What is explored completely, by what the page about the protocol calls it."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", EXPLORED)
def test_nothing_is_wrong_in_any_state_and_the_page_says_how_many_there_are(what: str) -> None:
    found = explore(EXPLORED[what])
    assert not found.broken, found.trace
    assert f"| {what} | {found.states:,} | {found.steps:,} |" in DOCUMENT.read_text()


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
