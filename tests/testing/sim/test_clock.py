"""Simulated time: one thing after another, however many wait."""

from __future__ import annotations

import pytest

from toil_core.testing.sim.clock import Clock, Killed


def test_things_happen_in_their_order_and_at_once() -> None:
    clock, seen = Clock(0.0), list[tuple[float, str]]()

    def actor(name: str, pause: float) -> None:
        for _ in range(3):
            clock.wait(pause)
            seen.append((clock.now, name))

    clock.start("a", lambda: actor("a", 2.0))
    clock.start("b", lambda: actor("b", 3.0))
    clock.later(5.0, lambda: seen.append((clock.now, "action")))
    clock.wait(1e6)
    assert seen == [(2.0, "a"), (3.0, "b"), (4.0, "a"), (5.0, "action"), (6.0, "b"), (6.0, "a"), (9.0, "b")]
    clock.close()


def test_who_is_woken_goes_on_before_its_time() -> None:
    clock, seen = Clock(0.0), list[float]()

    def sleeper() -> None:
        clock.wait(None)
        seen.append(clock.now)

    sleeping = clock.start("sleeper", sleeper)
    clock.later(4.0, lambda: clock.wake(sleeping))
    clock.wait(10.0)
    assert seen == [4.0] and clock.now == 10.0
    clock.close()


def test_the_killed_go_on_no_more() -> None:
    clock, seen = Clock(0.0), list[str]()

    def victim() -> None:
        try:
            clock.wait(10.0)
        except Killed:
            seen.append("killed")
            raise

    actor = clock.start("victim", victim)
    clock.later(1.0, lambda: clock.kill(actor))
    clock.wait(2.0)
    assert seen == ["killed"] and actor.over
    clock.close()


def test_an_error_anywhere_is_raised_where_the_world_runs() -> None:
    clock = Clock(0.0)

    def fails() -> None:
        raise ValueError("here")

    clock.start("actor", fails)
    with pytest.raises(ValueError, match="here"):
        clock.wait(1.0)
    clock.later(1.0, fails)
    with pytest.raises(ValueError, match="here"):
        clock.wait(2.0)
    clock.close()


def test_when_nothing_will_happen_any_more_it_says_so() -> None:
    clock = Clock(0.0)
    with pytest.raises(RuntimeError, match="nothing will ever happen again"):
        clock.wait(None)
    clock.close()
