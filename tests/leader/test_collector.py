"""The collector is left as it was found."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from toil_core.leader import collector


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    former = gc.get_threshold()
    yield
    gc.set_threshold(*former)


def test_it_is_rare_while_any_leader_works_and_then_as_before() -> None:
    gc.set_threshold(701, 11, 12)
    first, second = collector.rare(), collector.rare()
    with first:
        second.__enter__()
        assert gc.get_threshold() == collector.RARE
    assert gc.get_threshold() == collector.RARE  # the other still works
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (701, 11, 12)


def test_it_is_as_before_after_an_error() -> None:
    gc.set_threshold(701, 11, 12)
    with pytest.raises(ZeroDivisionError), collector.rare():
        raise ZeroDivisionError
    assert gc.get_threshold() == (701, 11, 12)


def test_a_program_that_turned_it_off_is_not_overruled() -> None:
    gc.set_threshold(0, 10, 10)
    with collector.rare():
        assert gc.get_threshold() == (0, 10, 10)


def test_nothing_is_collected_while_it_is_paused() -> None:
    assert gc.isenabled()
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_pause_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), collector.paused():
        1 / 0  # noqa: B018
    assert gc.isenabled()


@pytest.mark.parametrize("many", [True, False])
def test_what_was_made_during_a_pause_is_not_young_afterwards_where_it_is_much(many: bool) -> None:
    gc.unfreeze()
    gc.collect()
    with collector.paused():
        made = [[number] for number in range(collector.MANY if many else 10)]
    assert any(each is made for each in gc.get_objects(generation=2)) == many
    assert gc.get_freeze_count() == 0


def test_what_the_program_froze_stays_so() -> None:
    gc.freeze()
    try:
        with collector.paused():
            made = [[number] for number in range(collector.MANY)]
        assert gc.get_freeze_count() > 0
        del made
    finally:
        gc.unfreeze()
