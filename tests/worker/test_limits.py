"""What a fork server ends when an attempt uses too much."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from toil_core.worker import procfs
from toil_core.worker.forkserver import ForkServer
from toil_core.worker.notes import Notes, new_page

SLOT, ATTEMPT, NEXT = 10, 11, 12
VERDICT = 2


def stopped(monkeypatch: pytest.MonkeyPatch, notes: Notes, found: list[int], *, moves_on: bool) -> list[int]:
    """The processes that are ended when the attempt is to be, while its slot may go on to the next one."""
    killed: list[int] = []

    def family(pid: int) -> list[int]:
        if moves_on:
            assert notes.over(ATTEMPT)[2] == VERDICT
            notes.next(1, 1)
            notes.forked(NEXT, 7)
        return found

    monkeypatch.setattr(procfs, "family", family)
    monkeypatch.setattr(procfs, "kill", killed.append)
    slot: Any = SimpleNamespace(pid=SLOT, notes=notes)
    ForkServer.__new__(ForkServer)._stop(slot, ATTEMPT, VERDICT)
    return killed


@pytest.fixture
def notes() -> Notes:
    made = Notes(new_page(), 3)
    made.next(1, 0)
    made.forked(ATTEMPT, 5)
    return made


def test_an_attempt_is_ended_with_all_that_it_started(monkeypatch: pytest.MonkeyPatch, notes: Notes) -> None:
    assert stopped(monkeypatch, notes, [SLOT, ATTEMPT, 20], moves_on=False) == [ATTEMPT, 20]
    assert notes.over(ATTEMPT)[2] == VERDICT


def test_the_attempt_after_one_that_has_just_ended_is_left_alone(monkeypatch: pytest.MonkeyPatch, notes: Notes) -> None:
    assert stopped(monkeypatch, notes, [SLOT, NEXT], moves_on=True) == []
    assert notes.over(NEXT)[2] == 0
