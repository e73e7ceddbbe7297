"""A run as a text of one line: it comes back the same, and what is no such text is told."""

from __future__ import annotations

import shlex

import pytest

from toil_core.testing.sim import command, crashes, many
from toil_core.testing.sim.case import Case, Job, case_of, jobs_of, program_of
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.programs import random_program
from toil_core.testing.sim.scenarios import named
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.world import World


def read_back(case: Case) -> Case:
    """The run that the command of another says."""
    program, option, text = shlex.split(case.command)
    assert (program, option) == ("toil-sim", "--replay")
    return case_of(text)


@pytest.mark.parametrize("program", [*(Program(make()) for make in SHAPES.values()), *map(random_program, range(20))], ids=lambda program: program.plans[-1].name)
def test_a_workflow_comes_back_as_it_was(program: Program) -> None:
    jobs = jobs_of(program)
    again = program_of(read_back(Case(1, jobs)).jobs)
    assert jobs_of(again) == jobs
    assert again.digests == program.digests and again.initial(b"") == program.initial(b"")


@pytest.mark.parametrize(("scenario", "seed"), [("swarm", 3), ("leaders", 7), ("shape:diamond", 11)])
def test_a_run_comes_back_with_the_faults_that_happened(scenario: str, seed: int) -> None:
    world = named(scenario).world(seed)
    report = world.run()
    assert report.faults
    again = read_back(Case(seed, jobs_of(world.program), tuple(report.faults), scenario))
    assert again.world().run().digest == report.digest


def test_what_is_drawn_may_have_a_seed_of_its_own() -> None:
    jobs = jobs_of(random_program(5))
    case = Case(5, jobs, scenario="calm", draws=6)
    world = World(program_of(jobs), 6, named("calm").conditions(5), ())
    assert read_back(case) == case
    assert case.world().run().digest == world.run().digest != Case(5, jobs, scenario="calm").world().run().digest


def test_deaths_that_go_wrong_are_told_with_a_command_that_runs_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = World.run

    def running(world: World) -> Report:
        report = run(world)
        report.broken = "Broken: the sky is green" if report.faults[-1:] == [dies] else ""
        return report

    dies = crashes.crashed("chain").crashes[5]
    monkeypatch.setattr(World, "run", running)
    (part,) = many.deaths(1, shapes=["chain"])
    ((name, broken),) = part.broken
    assert broken == "Broken: the sky is green" and name.startswith("chain: toil-sim --replay ")
    case = case_of(shlex.split(name)[3])
    assert case.faults == (dies,)
    assert case.world().run().digest == crashes.crashed("chain", (dies,)).digest


ALONE = '{"seed":1,"jobs":[{"name":"a"}]}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no run is described: Input data was truncated"),
        ("{", "no run is described: Input data was truncated"),
        ('{"seed":1}', "no run is described: Object missing required field `jobs`"),
        ('{"seed":1,"jobs":[{"name":"a","colour":1}]}', "unknown field `colour`"),
        ('{"seed":1,"jobs":[{"name":"a","children":["b"]}]}', "job 'a' names 'b' among its children, which is no job"),
        ('{"seed":1,"jobs":[]}', "each job needs a name of its own, and there is at least one"),
        ('{"seed":1,"jobs":[{"name":"a"},{"name":"a"}]}', "each job needs a name of its own"),
        ('{"seed":1,"jobs":[{"name":"a","children":["b"],"needs":["b"]},{"name":"b"}]}', "some jobs wait for each other"),
        ('{"seed":1,"jobs":[{"name":"a"}],"scenario":"swam"}', "there is no scenario 'swam'"),
        ('{"seed":1,"jobs":[{"name":"a"}],"scenario":"shape:swam"}', "there is no scenario 'shape:swam'"),
    ],
)
def test_what_describes_no_run_is_told(capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(["--replay", text])
    told = capsys.readouterr().err
    assert end.value.code == 2 and words in told and "--replay: " in told


def test_a_run_is_run_again_by_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert case_of(ALONE) == Case(1, (Job("a"),))
    assert command.main(["--replay", ALONE, "--trace"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"trace {Case(1, (Job('a'),)).world().run().digest}: ") and "leader 1 create workflow" in out
    fault = Fault("leader 1 create workflow #1 leader", "crash before")
    assert read_back(Case(1, (Job("a"),), (fault,))).world().run().faults == [fault]
