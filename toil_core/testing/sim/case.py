"""A run as plain data: its workflow, its world and what goes wrong, so that a text of one line says it all."""

from __future__ import annotations

import difflib
import shlex
from typing import Any

import msgspec

from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import FAULTS, Conditions
from toil_core.testing.sim.program import Facts, Plan, Program
from toil_core.testing.sim.scenarios import named
from toil_core.testing.sim.world import World

FACTS = tuple(each for each in Facts.__struct_fields__ if each != "name")
"""What a job says of itself, beside its name."""
EDGES = tuple(each for each in Plan.__struct_fields__ if each not in Facts.__struct_fields__)
"""What a job says of other jobs."""
PLAIN = {each.name: each.default for each in msgspec.structs.fields(Facts)}
"""What is said of a job of which nothing is said."""


class Job(Facts, frozen=True, omit_defaults=True, forbid_unknown_fields=True):  # type: ignore[misc]  # it is no dataclass, which could not be frozen here
    """A plan with the names of others in their place; `Plan` tells what each of these is."""

    children: tuple[str, ...] = ()
    follow_ons: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    promises: tuple[str, ...] = ()
    adds_children: tuple[str, ...] = ()
    adds_follow_ons: tuple[str, ...] = ()
    adds_services: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()


Jobs = tuple[Job, ...]
"""A whole workflow; the first job is its root."""


def jobs_of(program: Program) -> Jobs:
    """A workflow as plain data."""

    def job(plan: Plan) -> Job:
        said: dict[str, Any] = {fact: getattr(plan, fact) for fact in FACTS}
        said |= {edge: tuple(each.name for each in getattr(plan, edge)) for edge in EDGES}
        return Job(plan.name, **said)

    return tuple(job(plan) for plan in program.plans)


def program_of(jobs: Jobs) -> Program:
    """The workflow that such data describe.

    Raises:
        ValueError: They describe none that can run.
    """
    plans = {job.name: Plan(job.name, **{fact: getattr(job, fact) for fact in FACTS}) for job in jobs}
    if not jobs or len(plans) < len(jobs):
        raise ValueError("each job needs a name of its own, and there is at least one")
    for job in jobs:
        for edge in EDGES:
            missing = [name for name in getattr(job, edge) if name not in plans]
            if missing:
                raise ValueError(f"job {job.name!r} names {missing[0]!r} among its {edge}, which is no job")
            getattr(plans[job.name], edge).extend(plans[name] for name in getattr(job, edge))
    program = Program(plans[jobs[0].name])
    if not program.possible:
        raise ValueError("some jobs wait for each other")
    return program


class Case(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A run.

    Args:
        seed: The seed of the scenario's world; without a scenario, of what is drawn.
        jobs: The workflow.
        faults: What goes wrong.
        scenario: Whose world it is; one without anything special when not given.
        draws: The seed of what is drawn, where it is another than the world's.
    """

    seed: int
    jobs: Jobs
    faults: tuple[Fault, ...] = ()
    scenario: str = ""
    draws: int | None = None

    @property
    def conditions(self) -> Conditions:
        """What the world is like."""
        return named(self.scenario).conditions(self.seed) if self.scenario else Conditions()

    def world(self) -> World:
        """A new world in which it can be run.

        Raises:
            ValueError: The jobs are no workflow.
        """
        return World(program_of(self.jobs), self.seed if self.draws is None else self.draws, self.conditions, self.faults)

    @property
    def command(self) -> str:
        """What to type to run it again."""
        return f"toil-sim --replay {shlex.quote(msgspec.json.encode(self).decode())}"


def case_of(text: str) -> Case:
    """The run that a text says.

    Args:
        text: What follows `--replay`.

    Raises:
        ValueError: It is no such text; the message says what is wrong with it.
    """
    try:
        case = msgspec.json.decode(text, type=Case)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no run is described: {error}") from None
    for fault in case.faults:
        if fault.kind not in FAULTS:
            close = difflib.get_close_matches(fault.kind, FAULTS, 1)
            raise ValueError(f"there is no fault {fault.kind!r}" + (f"; do you mean {close[0]!r}?" if close else ""))
    try:
        case.world()
    except KeyError:
        raise ValueError(f"there is no scenario {case.scenario!r}") from None
    return case
