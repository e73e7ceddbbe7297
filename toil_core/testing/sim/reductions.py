"""Smaller workflows made of a larger one: each is one that can run, so that what still goes wrong in it is the engine's doing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from toil_core.testing.sim.case import FACTS, PLAIN, Job, Jobs

_GROUPED = ("children", "follow_ons", "services")
_ADDED = ("adds_children", "adds_follow_ons", "adds_services")
_AFTER = (("children", "adds_children"), ("follow_ons", "adds_follow_ons"))
_KEPT = ("service",)
"""Facts that say what a job is for others."""


def without(jobs: Jobs, gone: Iterable[Job]) -> Jobs:
    """The workflow without these jobs, and without what only they lead to.

    Args:
        jobs: The workflow.
        gone: Those to leave out; never the root.
    """
    names = {job.name for job in gone}
    return mended([job for job in jobs if job.name not in names])


def lifted(jobs: Jobs) -> Iterator[Jobs]:
    """Workflows in which one job is left out, and its children, or its follow-ons, come in its place.

    Args:
        jobs: The workflow.
    """
    for job in jobs[1:]:
        for after in _AFTER:
            next_ones = [name for edge in after for name in getattr(job, edge)]
            if next_ones and not job.service:
                yield mended([_with_instead(each, job.name, next_ones) for each in jobs if each is not job])


def rerooted(jobs: Jobs) -> Iterator[Jobs]:
    """Workflows that begin with a job that comes after the root.

    Args:
        jobs: The workflow.
    """
    by_name = {job.name: job for job in jobs}
    for name in (name for after in _AFTER for edge in after for name in getattr(jobs[0], edge)):
        yield mended([by_name[name], *(job for job in jobs[1:] if job.name != name)])


def plainer(jobs: Jobs) -> Iterator[Jobs]:
    """Workflows in which one job is plainer: in all that can be said of it, or in one thing; or asks for the values of fewer.

    Args:
        jobs: The workflow.
    """
    for place, job in enumerate(jobs):
        facts = {fact: PLAIN[fact] for fact in FACTS if fact not in _KEPT and getattr(job, fact) != PLAIN[fact]}
        changes = [facts, *({fact: value} for fact, value in facts.items() if len(facts) > 1)]
        changes += [{edge: tuple(each for each in names if each != name)} for edge in ("needs", "promises") for names in [getattr(job, edge)] for name in names]
        for change in changes:
            if change:
                yield mended([*jobs[:place], replace(job, **change), *jobs[place + 1 :]])


def mended(jobs: Iterable[Job]) -> Jobs:
    """Without all that refers to what is not there, cannot be reached, or cannot be known where it is asked for.

    Args:
        jobs: The jobs; the first one is the root.
    """
    every = list(jobs)
    by_name = {job.name: job for job in every}
    makers = _makers(every[0].name, by_name)
    careful = _below_checkpoints(by_name, makers)
    return tuple(_mended(job, by_name, makers, careful) for job in every if job.name in makers)


def _mended(job: Job, by_name: dict[str, Job], makers: dict[str, str], careful: set[str]) -> Job:
    mine = makers[job.name]
    needs = tuple(name for name in job.needs if name in makers and name != job.name and (makers[name] == mine or name == mine))
    wrote = {name for name in needs if by_name[name].writes}
    return replace(
        job,
        **{edge: tuple(name for name in getattr(job, edge) if name in makers) for edge in (*_GROUPED, *_ADDED)},
        needs=needs, promises=tuple(name for name in job.promises if makers.get(name) == job.name),
        reads=tuple(name for name in job.reads if name in wrote), deletes=tuple(name for name in job.deletes if name in wrote),
        temporary=job.temporary and job.writes, tries=job.tries if job.name in careful else None,
    )  # fmt: skip


def _makers(root: str, by_name: dict[str, Job]) -> dict[str, str]:
    """For each job that can be reached, whose body adds it; nobody's for those that the user made."""
    makers: dict[str, str] = {}
    stack = [(root, "")]
    while stack:
        name, maker = stack.pop()
        if name in by_name and name not in makers:
            makers[name] = maker
            job = by_name[name]
            stack += [(each, maker) for edge in _GROUPED for each in getattr(job, edge)]
            stack += [(each, name) for edge in _ADDED for each in getattr(job, edge)]
    return makers


def _below_checkpoints(by_name: dict[str, Job], makers: dict[str, str]) -> set[str]:
    """Those that may fail for good, as a checkpoint job above them runs again."""
    found = set()
    for name, maker in makers.items():
        above = maker
        while above and not by_name[above].checkpoint:
            above = makers[above]
        if above:
            found.add(name)
    return found


def _with_instead(job: Job, name: str, others: list[str]) -> Job:
    """The job with others in the place of one that comes after it."""
    after = [edge for edges in _AFTER for edge in edges if name in getattr(job, edge)]
    return replace(job, **{edge: _put(getattr(job, edge), name, others) for edge in after})


def _put(names: tuple[str, ...], name: str, others: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(new for each in names for new in (others if each == name else [each])))
