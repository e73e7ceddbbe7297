"""A suite notices a driver that lacks an ability which its author claims."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from toil_core.batch_system import CanInterrupt, HasCapacity, HasNodes, Requirement
from toil_core.testing.abilities import check_abilities


class Misspelt:
    def interupt(self, ids: Iterable[str], seconds: float) -> None:
        pass

    def capacity(self) -> Requirement:
        return Requirement()


class Whole(Misspelt):
    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        pass

    def slots(self) -> float:
        return 1.0


def test_what_is_there_is_found() -> None:
    assert isinstance(Whole(), CanInterrupt) and isinstance(Whole(), HasCapacity)
    check_abilities(Whole(), (CanInterrupt, HasCapacity))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(AssertionError, match="^Misspelt is no CanInterrupt without interrupt, and is no HasCapacity without slots, and is no HasNodes without drain and loads"):
        check_abilities(Misspelt(), (CanInterrupt, HasCapacity, HasNodes))
