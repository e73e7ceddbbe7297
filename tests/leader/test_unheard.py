"""When the job store is asked for services that nobody has told to be up."""

from __future__ import annotations

from toil_core.leader.unheard import FIRST, MOST, Unheard


def test_nothing_is_asked_for_without_services() -> None:
    unheard = Unheard()
    assert unheard.at is None and not unheard.due([], 1e9)


def test_a_service_is_asked_for_in_time_and_then_ever_more_rarely() -> None:
    unheard, now = Unheard(), 0.0
    waits: list[float] = []
    unheard.sent(now)
    while len(waits) < 8:
        assert unheard.at is not None
        assert not unheard.due(["1-2"], (now + unheard.at) / 2)
        waits.append(unheard.at - now)
        now = unheard.at
        assert unheard.due(["1-2"], now) == ["1-2"]
    assert waits == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST, MOST, MOST, MOST]


def test_another_service_is_asked_for_as_soon_as_the_first_was() -> None:
    unheard = Unheard()
    unheard.sent(0.0)
    for _ in range(6):
        assert unheard.at is not None
        now = unheard.at
        unheard.due(["1-2"], now)
    unheard.sent(now)
    assert unheard.at == now + FIRST
    unheard.sent(now + 1.0)
    assert unheard.at == now + FIRST


def test_when_all_are_up_nothing_is_asked_for_any_more() -> None:
    unheard = Unheard()
    unheard.sent(0.0)
    assert unheard.due([], FIRST) == [] and unheard.at is None
