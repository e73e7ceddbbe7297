from __future__ import annotations

import re
import threading
import time

import pytest

from toil_core.cluster.phases import Phase, Plan
from toil_core.cluster.runner import PhaseFailed, Runner, Work
from toil_core.errors import ToilError, UsageError


class Told:
    """A runner, and what it told."""

    def __init__(self, phases: list[Phase], work: dict[str, Work]) -> None:
        self.notes: list[tuple[str, str, str]] = []
        self.lines: list[str] = []
        self.give_up = threading.Event()
        plan = Plan()
        plan.add(phases)
        self.runner = Runner(plan, work, lambda *note: self.notes.append(note), self.lines.append, lambda name: "something", self.give_up)


def test_all_is_done_at_the_same_time_as_far_as_it_can_be() -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(limit: float) -> str:
        both.wait()
        return "met"

    told = Told([Phase("a"), Phase("b"), Phase("c", ("a", "b"))], {"a": meet, "b": meet, "c": lambda limit: ""})
    told.runner.run()
    assert sorted(told.lines) == ["a: met", "b: met"]
    assert told.notes[-2:] == [("c", "started", ""), ("c", "done", "")]
    assert told.give_up.is_set()


def test_a_file_that_cannot_be_had_is_named_without_a_number() -> None:
    def fail(limit: float) -> str:
        raise NotADirectoryError(20, "Not a directory", "/cache/images")

    with pytest.raises(PhaseFailed, match="^image: /cache/images: Not a directory$"):
        Told([Phase("image")], {"image": fail}).runner.run()


def test_a_failure_ends_what_waits_and_keeps_its_verdict() -> None:
    def fail(limit: float) -> str:
        raise UsageError("no such thing")

    told = Told([Phase("node/a"), Phase("b", ("node/a",))], {"node/a": fail, "b": lambda limit: pytest.fail("begun")})
    with pytest.raises(PhaseFailed, match="node/a: no such thing") as failed:
        told.runner.run()
    assert isinstance(failed.value.verdict("x"), UsageError)
    assert ("node/a", "failed", "no such thing") in told.notes


def test_a_phase_that_takes_too_long_is_given_up() -> None:
    told: Told

    def wait(limit: float) -> str:
        assert limit - time.monotonic() <= 0.2
        told.give_up.wait(30)
        return ""

    told = Told([Phase("a", (), 0.2)], {"a": wait})
    with pytest.raises(PhaseFailed, match=r"a: it is not done after 0.2 s") as failed:
        told.runner.run()
    assert not isinstance(failed.value.verdict("x"), UsageError)
    assert isinstance(failed.value.verdict("x"), ToilError)
    told.runner.settle(30)


def test_what_takes_long_is_told_in_a_line_for_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toil_core.cluster.runner._SILENCE", 0.05)
    names = ["a/install", "b/install", "c/install", "d/reach"]
    lines: list[str] = []
    said = threading.Event()

    def tell(line: str) -> None:
        lines.append(re.sub(r" \([0-9]+ s\)", "", line))
        if {"a/install and 2 more: waits for something", "d/reach: waits for something"} <= set(lines):
            said.set()

    def wait(limit: float) -> str:
        assert said.wait(60), lines
        return ""

    plan = Plan()
    plan.add([Phase(name) for name in names])
    Runner(plan, dict.fromkeys(names, wait), lambda *note: None, tell, lambda name: "something", threading.Event()).run()
    assert said.is_set()


def test_an_interrupt_as_a_phase_begins_leaves_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the phase that was not begun nor of one that begins only afterwards, which then does nothing."""
    late: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        late.append(thread)
        raise KeyboardInterrupt

    told = Told([Phase("a")], {"a": lambda limit: pytest.fail("begun")})
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(threading.Thread, "start", interrupted)
        told.runner.run()
    told.runner.settle(60.0)
    late[0].run()
    told.runner.settle(60.0)


def test_what_runs_is_waited_for() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def wait(limit: float) -> str:
        begun.set()
        go_on.wait(60)
        ended.set()
        return ""

    def fail(limit: float) -> str:
        assert begun.wait(60)
        raise UsageError("no such thing")

    told = Told([Phase("a"), Phase("b")], {"a": wait, "b": fail})
    running = threading.Thread(target=lambda: pytest.raises(PhaseFailed, told.runner.run))
    running.start()
    assert told.give_up.wait(60)
    go_on.set()
    told.runner.settle(60.0)
    assert ended.is_set()
    running.join(60)
    assert not running.is_alive()
