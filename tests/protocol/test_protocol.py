"""The protocol's model is explored completely; and each of its rules is needed."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import pytest

from tests.protocol.explore import explore
from tests.protocol.forget import forgotten
from tests.protocol.model import DIAMOND, FAN, LINE, Bounds, Key, Protocol, Rules, State

CALM, ONE = (replace(DIAMOND, losses=losses) for losses in (0, 1))
CALM_FAN, ONE_FAN = (replace(FAN, losses=losses) for losses in (0, 1))
PAIR = Bounds((frozenset(), frozenset({0})), (frozenset(), frozenset()), slice(0, 0), losses=1)
"""Two jobs, one after the other, with a loss: few enough to compare all states."""
DAMAGE = replace(LINE, losses=1, damage=True)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
EXPLORED = {
    "three children, none lost": CALM_FAN,
    "two children and a job after them, none lost": CALM,
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


@pytest.mark.timeout(600)
def test_what_can_matter_no_more_is_left_out_and_the_page_says_how_many_states_there_are_then() -> None:
    found = explore(ONE_FAN, whole=False)
    assert not found.broken, found.trace
    assert f"| three children, one request lost in appearance | {found.states:,} | {found.steps:,} |" in DOCUMENT.read_text()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bounds", [PAIR, CALM], ids=["pair", "diamond"])
def test_what_is_left_out_makes_no_difference(bounds: Bounds) -> None:
    """Each of all states has one that stands for it among the fewer: with no more losses, so that whatever can follow it can follow that one."""
    protocol, all_states, fewer = Protocol(bounds), set[Key](), dict[Key, int]()
    explore(bounds, each=lambda state: all_states.add(protocol.canonical(forgotten(state))[0]))

    def keep(state: State) -> None:
        key = protocol.canonical(state)[0]
        fewer[key[:-1]] = min(state.losses, fewer.get(key[:-1], state.losses))

    explore(bounds, whole=False, each=keep)
    assert all(fewer[key[:-1]] <= cast("int", key[-1]) for key in all_states)
    assert {key[:-1] for key in all_states} == set(fewer)


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
