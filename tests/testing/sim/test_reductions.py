"""Smaller workflows are workflows: whatever is taken away, what is left runs to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from toil_core.testing.sim.case import Job, Jobs, jobs_of, program_of
from toil_core.testing.sim.programs import random_program
from toil_core.testing.sim.reductions import lifted, plainer, rerooted, without
from toil_core.testing.sim.world import World


def shorter(jobs: Jobs) -> Iterator[Jobs]:
    """Workflows without one of the jobs."""
    return (without(jobs, [job]) for job in jobs[1:])


@pytest.mark.parametrize("make", [shorter, lifted, rerooted, plainer])
@pytest.mark.parametrize("seed", [62, 65, 71])
def test_what_is_made_of_a_workflow_runs_to_its_end(make: Callable[[Jobs], Iterator[Jobs]], seed: int) -> None:
    jobs = jobs_of(random_program(seed))
    found = list(make(jobs))
    assert found and jobs not in found
    for each in found:
        report = World(program_of(each), seed, faults=()).run()
        assert not report.broken, (report.broken, each)


def test_with_a_job_goes_all_that_only_it_leads_to_and_whoever_asked_for_it_does_not() -> None:
    jobs = (
        Job("root", adds_children=("a", "b", "user"), promises=("a",)),
        Job("a", writes=True, children=("below", "shared")), Job("below"), Job("b", children=("shared",)), Job("shared"),
        Job("user", needs=("a", "b"), reads=("a",), deletes=("a",)),
    )  # fmt: skip
    assert without(jobs, [jobs[1]]) == (
        Job("root", adds_children=("b", "user")), Job("b", children=("shared",)), Job("shared"), Job("user", needs=("b",)),
    )  # fmt: skip


def test_what_comes_after_a_job_comes_in_its_place() -> None:
    jobs = (Job("root", children=("a",)), Job("a", adds_children=("b", "c"), follow_ons=("d",)), Job("b"), Job("c"), Job("d"))
    assert list(lifted(jobs)) == [(Job("root", children=("b", "c")), Job("b"), Job("c")), (Job("root", children=("d",)), Job("d"))]
    assert list(rerooted(jobs)) == [jobs[1:]]


def test_a_value_is_asked_for_only_where_its_job_is_known() -> None:
    jobs = (Job("root", adds_children=("a", "b")), Job("a", adds_children=("inner",)), Job("inner"), Job("b", needs=("a",)))
    (moved,) = [each for each in lifted(jobs) if "a" not in {job.name for job in each}]
    assert moved == (Job("root", adds_children=("inner", "b")), Job("inner"), Job("b"))


def test_a_job_that_may_fail_for_good_stays_below_a_checkpoint_job() -> None:
    jobs = (Job("root", adds_children=("top",)), Job("top", checkpoint=True, adds_children=("shaky",)), Job("shaky", tries=1, fails=1))
    assert Job("shaky", fails=1) in next(lifted(jobs))
    assert (jobs[0], jobs[1], Job("shaky")) in plainer(jobs)
    assert (jobs[0], Job("top", adds_children=("shaky",)), Job("shaky", fails=1)) in plainer(jobs)
