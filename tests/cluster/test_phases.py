from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toil_core.cluster.phases import NODE_PHASES, Command, GiveUp, LeaveOut, Phase, Plan, Start, first_phases, node_phases


def names(commands: list[Command]) -> list[str]:
    return [command.phase for command in commands if isinstance(command, Start)]


def whole(workers: int, most: int = 100) -> Plan:
    plan = Plan(most)
    plan.add(first_phases())
    plan.add(node_phases("leader"))
    for number in range(workers):
        plan.add(node_phases(f"worker-{number}", "leader"))
    return plan


def test_what_waits_for_nothing_begins_first() -> None:
    assert names(whole(2).go(0)) == ["keys", "image", "prepare"]


def test_a_phase_begins_when_all_that_it_needs_is_done() -> None:
    plan = Plan()
    plan.add([Phase("a"), Phase("b"), Phase("c", ("a", "b"))])
    plan.go(0)
    assert plan.done("a", 1) == []
    assert plan.waiting() == {"c": ("b",)}
    assert plan.done("b", 1) == [Start("c")]
    assert plan.done("c", 2) == []
    assert plan.is_over
    assert plan.failure is None


def test_workers_do_not_wait_for_the_leader_but_at_the_end() -> None:
    plan = whole(1)
    queue = names(plan.go(0))
    done: list[str] = []
    while queue:
        name = next((name for name in queue if not name.startswith("leader/") or name == "leader/machine"), None)
        if name is None:
            break
        queue.remove(name)
        done.append(name)
        queue += names(plan.done(name, 0))
    assert {f"worker-0/{phase}" for phase in NODE_PHASES} - set(done) == {"worker-0/ready"}


def test_after_a_failure_nothing_more_begins() -> None:
    plan = whole(3)
    plan.go(0)
    assert plan.failed("prepare", "no money", 1) == [GiveUp("prepare", "no money")]
    assert plan.done("keys", 1) == []
    assert not plan.is_over
    plan.done("image", 1)
    assert plan.is_over
    assert plan.failure == GiveUp("prepare", "no money")


def test_what_takes_too_long_has_failed() -> None:
    plan = Plan()
    plan.add([Phase("a", (), 5), Phase("b", (), 50)])
    plan.go(100)
    assert plan.next_limit() == 105
    assert plan.limit("b") == 150
    assert plan.passed(104.9) == []
    assert plan.passed(105) == [GiveUp("a", "it is not done after 5 s")]


def with_optional(workers: int, least: int) -> Plan:
    nodes = [f"worker-{number}" for number in range(workers)]
    plan = Plan(optional=frozenset(nodes), least=least)
    plan.add(first_phases())
    plan.add(node_phases("leader"))
    for node in nodes:
        plan.add(node_phases(node, "leader"))
    return plan


def finish(plan: Plan, commands: list[Command], failing: Mapping[str, str]) -> list[Command]:
    """Do all, but let phases fail."""
    seen = list(commands)
    for command in seen:
        if isinstance(command, Start):
            seen += plan.failed(command.phase, failing[command.phase], 1) if command.phase in failing else plan.done(command.phase, 1)
    return [command for command in seen if not isinstance(command, Start)]


def test_the_launch_goes_on_without_workers_that_may_fail() -> None:
    plan = with_optional(3, 2)
    assert finish(plan, plan.go(0), {"worker-1/install": "full"}) == [LeaveOut("worker-1", "worker-1/install", "full")]
    assert plan.is_over and plan.failure is None
    assert list(plan.left_out) == ["worker-1"]
    assert plan.done("worker-1/engine", 2) == []


def test_too_few_workers_are_a_failure() -> None:
    plan = with_optional(3, 2)
    told = finish(plan, plan.go(0), {"worker-1/install": "full", "worker-2/reach": "silent"})
    assert [type(command) for command in told] == [LeaveOut, GiveUp]
    assert plan.failure is not None
    assert "2 of 3 workers failed, and 2 must come up" in plan.failure.why


def test_the_leader_must_not_fail_and_nothing_is_forgiven_that_is_our_own_mistake() -> None:
    plan = with_optional(3, 0)
    assert GiveUp("leader/reach", "silent") in finish(plan, plan.go(0), {"leader/reach": "silent"})
    other = with_optional(1, 0)
    other.go(0)
    for phase in ("keys", "prepare", "machines"):
        other.done(phase, 0)
    assert other.failed("worker-0/machine", "KeyError", 1, spare=False) == [GiveUp("worker-0/machine", "KeyError")]


def test_all_that_takes_too_long_is_left_out() -> None:
    plan = Plan(optional=frozenset({"a", "b"}), least=0)
    plan.add([Phase("a/x", (), 5), Phase("b/x", (), 5), Phase("c/x", (), 50)])
    plan.go(0)
    assert [type(command) for command in plan.passed(5)] == [LeaveOut, LeaveOut]
    assert plan.next_limit() == 50


def test_no_more_at_a_time_than_allowed() -> None:
    plan = Plan(most=2)
    plan.add([Phase(str(number)) for number in range(5)])
    assert names(plan.go(0)) == ["0", "1"]
    assert names(plan.done("1", 0)) == ["2"]


def test_phases_that_make_no_sense_are_refused() -> None:
    plan = Plan()
    plan.add([Phase("a")])
    with pytest.raises(ValueError, match="twice"):
        plan.add([Phase("a")])
    with pytest.raises(ValueError, match="needs x"):
        plan.add([Phase("b", ("x",))])


@given(st.integers(0, 6), st.integers(1, 10), st.randoms(use_true_random=False))
def test_in_whatever_order_phases_end_all_are_done_once_and_after_what_they_need(workers: int, most: int, chance: object) -> None:
    plan = whole(workers, most)
    phases = {phase.name: phase for phase in [*first_phases(), *node_phases("leader")]}
    phases |= {phase.name: phase for number in range(workers) for phase in node_phases(f"worker-{number}", "leader")}
    running = names(plan.go(0))
    done: list[str] = []
    while running:
        assert len(running) <= most
        name = running.pop(chance.randrange(len(running)))  # type: ignore[attr-defined]
        assert set(phases[name].needs) <= set(done)
        done.append(name)
        running += names(plan.done(name, 0))
    assert sorted(done) == sorted(phases)
    assert plan.is_over
