"""What goes wrong in a large workflow is told with the smallest one in which it does, and with a command that runs that again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

from tests.testing.sim import test_invariants as broken
from tests.testing.sim import test_sensitivity as wrong
from toil_core.testing.sim import command
from toil_core.testing.sim.case import Case, Jobs, jobs_of
from toil_core.testing.sim.program import Plan, Program
from toil_core.testing.sim.scenarios import SCENARIOS, Scenario, named
from toil_core.testing.sim.smaller import smallest


def large(seed: int) -> Program:
    """A workflow of 62 jobs of all sorts."""
    served = Plan("served", service=True)
    users = [Plan(f"user{number}", needs=[served], shape="tiny", seconds=0.001) for number in range(8)]
    made = [Plan(f"made{number}", writes=True, size=1100, seconds=5.0, adds_children=[Plan(f"next{number}", writes=True, seconds=5.0)]) for number in range(8)]
    lines = [Plan(f"a{n}", children=[Plan(f"b{n}", adds_follow_ons=[Plan(f"c{n}", follow_ons=[Plan(f"d{n}")])])]) for n in range(6)]
    late = [Plan(f"top{n}", children=[Plan(f"child{n}", adds_children=[Plan(f"deep{n}")])], adds_follow_ons=[Plan(f"after{n}")]) for n in range(2)]
    work = Plan("work", adds_services=[served], adds_children=users, adds_follow_ons=[Plan("sum", needs=made[:0])])
    ends = [Plan(f"end{number}", fails=number % 2) for number in range(2)]
    return Program(Plan("root", adds_children=[*made, *lines, *late, work], adds_follow_ons=ends))


@dataclass(frozen=True)
class Bug:
    """Something wrong on purpose, and how small it gets.

    Args:
        patch: Makes the engine wrong.
        kind: The scenario whose world shows it.
        seed: With which seed.
        jobs: So many jobs are enough to show it.
        faults: And so many faults.
    """

    patch: broken.Patch
    kind: str
    seed: int
    jobs: int
    faults: int

    @property
    def scenario(self) -> Scenario:
        """The large workflow in that world."""
        return Scenario(self.kind, "", large, named(self.kind).conditions)


BUGS = {
    "no tombstones": Bug(wrong.no_tombstones, "leaders", 1, 1, 1),
    "a loss uses up a try": Bug(wrong.losses_use_up_tries, "machines", 1, 4, 2),
    "children are forgotten": Bug(wrong.children_are_forgotten_when_chaining, "calm", 2, 3, 0),
    "commits go at once": Bug(wrong.commits_go_at_once, "leaders", 0, 6, 0),
}


def found(jobs: Jobs, bug: Bug) -> Case:
    """The run that goes wrong."""
    report = bug.scenario.world(bug.seed).run()
    assert report.broken, broken.SEARCH
    return Case(bug.seed, jobs, tuple(report.faults), bug.kind)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_a_large_workflow_ends_at_a_minimal_one(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bug, jobs = BUGS[name], jobs_of(large(0))
    assert len(jobs) == 62
    with monkeypatch.context() as patch:
        bug.patch(patch)
        small, report = smallest(found(jobs, bug))
        assert len(small.jobs) <= bug.jobs and len(small.faults) <= bug.faults
        program, *arguments = shlex.split(small.command)
        assert program == "toil-sim" and command.main([*arguments, "--no-shrink"]) == 1
        assert f"BROKEN: {report.broken}\n" in capsys.readouterr().out
    assert command.main(arguments) == 0, "with an engine that is right nothing goes wrong"
    assert capsys.readouterr().out.endswith("everything held\n")


def test_the_command_tells_the_smallest_workflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bug = BUGS["children are forgotten"]
    monkeypatch.setitem(SCENARIOS, "calm", bug.scenario)
    bug.patch(monkeypatch)
    assert command.main(["--scenario", "calm", "--seed", str(bug.seed)]) == 1
    first, _, told = capsys.readouterr().out.partition("\nThe same goes wrong with 3 of 62 jobs and 0 faults:\n")
    assert "The same goes wrong with 0 of these faults:\n" in first
    lines = told.splitlines()
    assert [line[:11] for line in lines[:3]] == ['  {"name":"'] * 3
    _, colon, again = lines[-1].partition("run it again with: toil-sim ")
    assert colon and command.main([*shlex.split(again), "--no-shrink"]) == 1
    assert f"BROKEN: {lines[-2]}\n" in capsys.readouterr().out


def test_a_run_that_holds_stays_as_it_is() -> None:
    case = Case(1, jobs_of(large(1)), scenario="calm")
    small, report = smallest(case)
    assert small == case and not report.broken


def test_it_ends_when_it_has_tried_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS["children are forgotten"]
    bug.patch(monkeypatch)
    small, report = smallest(found(jobs_of(large(0)), bug), tries=8)
    assert 3 < len(small.jobs) < 62 and report.broken == small.world().run().broken


def test_what_went_wrong_is_told_in_the_same_words_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several jobs were once told of in any order."""
    bug = BUGS["children are forgotten"]
    bug.patch(monkeypatch)
    assert {bug.scenario.world(bug.seed).run().broken for _ in range(8)} == {"Broken: <after0> starts before the commits of <child0>, <deep0> are there"}
