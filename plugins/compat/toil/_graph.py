"""From jobs as a script links them to jobs of toil-core."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import toil_core

from toil.exceptions import ConflictingPredecessorError, JobException, JobGraphDeadlockException, JobPromiseConstraintError

if TYPE_CHECKING:
    from toil.fileStores.abstractFileStore import AbstractFileStore
    from toil.job import Job
    from toil.service import Service


class Links:
    """Where a job stands in the graph, and what it knows while it runs. Never sent to workers."""

    __slots__ = ("before", "children", "file_store", "follow_ons", "node", "running", "services")

    def __init__(self) -> None:
        self.children: list[Job] = []
        self.follow_ons: list[Job] = []
        self.services: list[tuple[Service, Service | None]] = []
        """Each with the one that must be up before it."""
        self.before: list[Job] = []
        self.node: Any = None
        """The job of toil-core that stands for it, once it is known."""
        self.running: toil_core.Job[Any] | None = None
        self.file_store: AbstractFileStore | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Links, ()


class Promise:
    """Stands for what a job returns, or a part of it, until it has run. Made by `Job.rv`.

    Args:
        job: The job, or service.
        path: Steps into the value, each an index or a key.
    """

    def __init__(self, job: Any, path: Any = ()) -> None:
        self.job = job
        self.path = tuple(path)

    def of_core(self) -> Any:
        """The promise of toil-core that it means.

        Raises:
            JobPromiseConstraintError: The job is not part of the graph.
        """
        node = self.job._toil_links.node
        if node is None:
            raise JobPromiseConstraintError(self.job)
        return node.rv(*self.path)

    def __reduce__(self) -> tuple[Any, ...]:
        return _kept, (self.of_core(),)

    def __repr__(self) -> str:
        return f"<promise of {self.job}{''.join(f'[{step!r}]' for step in self.path)}>"


def _kept(value: Any) -> Any:
    """Called by unpickling where a promise was, with the value that has taken its place."""
    return value


class PromisedRequirement:
    """What a job needs, known only when other jobs have run.

    Args:
        valueOrCallable: A promise; or a function that is called with the values of the arguments.
        args: Promises, or anything that holds them.
    """

    def __init__(self, valueOrCallable: Any, *args: Any) -> None:
        if args and not callable(valueOrCallable):
            raise ValueError(f"{valueOrCallable!r} is no function, so it takes no arguments")
        self._given = valueOrCallable
        self._args = args

    def getValue(self) -> Any:
        """The value, on a worker, where the promises are known."""
        return self._given(*self._args) if callable(self._given) else self._given

    def of_core(self) -> Any:
        """What toil-core computes on a worker."""
        return toil_core.promised(_value_of, self)


def _value_of(requirement: PromisedRequirement) -> Any:
    return requirement.getValue()


def link(above: Job, below: Job, successors: list[Job]) -> None:
    """Note that a job comes after another one.

    Raises:
        JobException: It is no job.
        ConflictingPredecessorError: That is known already.
    """
    from toil.job import Job

    if not isinstance(below, Job):
        raise JobException(f"{below!r} is no job; wrap a function with Job.wrapFn or Job.wrapJobFn")
    if any(before is above for before in below._toil_links.before):
        raise ConflictingPredecessorError(above, below)
    successors.append(below)
    below._toil_links.before.append(above)


def connect(top: Job, node: Any = None) -> Any:
    """Make jobs of toil-core for a job and all below it, and link them alike.

    Args:
        top: The job.
        node: The job of toil-core that stands for it; None to make one.

    Returns:
        The job of toil-core.

    Raises:
        JobGraphDeadlockException: A job below comes after another one too that is not.
        JobException: Jobs of toil-core cannot be linked so.
    """
    jobs = list(_below(top))
    known = {id(job) for job in jobs}
    for job in jobs:
        for before in job._toil_links.before:
            if id(before) not in known:
                raise JobGraphDeadlockException(f"{job} comes after {before} too, which is not part of this graph: a graph has one root")
    for job in jobs:
        job._toil_links.node = None
    top._toil_links.node = node
    for job in jobs:
        if job._toil_links.node is None:  # else the job that encapsulates it has made it with its own
            job._toil_links.node = job._toil_node()
    for job in jobs:
        _link_node(job)
    return top._toil_links.node


def _link_node(job: Job) -> None:
    links = job._toil_links
    for service, parent in links.services:
        service._toil_links.node = service._toil_node()
        links.node.add_service(service._toil_links.node, None if parent is None else parent._toil_links.node)
    for child in links.children:
        links.node.add_child(child._toil_links.node)
    for follow_on in links.follow_ons:
        links.node.add_follow_on(follow_on._toil_links.node)


def _below(top: Job) -> Iterator[Job]:
    """A job and all below it, each once; what encapsulates comes before what it encapsulates."""
    stack, seen = [top], {id(top)}
    while stack:
        job = stack.pop()
        yield job
        for successor in reversed(successors(job)):
            if id(successor) not in seen:
                seen.add(id(successor))
                stack.append(successor)


def successors(job: Job) -> list[Job]:
    """The jobs that come directly after a job."""
    return [*job._toil_inside(), *job._toil_links.children, *job._toil_links.follow_ons]


def roots(job: Job) -> set[Job]:
    """The jobs of a job's graph that come after no other."""
    stack, seen = [job], {id(job): job}
    while stack:
        each = stack.pop()
        for other in (*successors(each), *each._toil_links.before):
            if id(other) not in seen:
                seen[id(other)] = other
                stack.append(other)
    return {each for each in seen.values() if not each._toil_links.before}


def check_one_root(job: Job) -> None:
    """Check that a graph has one root.

    Raises:
        JobGraphDeadlockException: It has several; or none, as jobs wait for one another.
    """
    found = roots(job)
    if not found:
        ordered(job)  # raises, as there is a circle
    if len(found) != 1:
        raise JobGraphDeadlockException(f"a graph has one root, this one has {len(found)}: {', '.join(sorted(map(str, found)))}")


def ordered(job: Job) -> list[Job]:
    """The jobs of a graph in an order in which they can run.

    Raises:
        JobGraphDeadlockException: There is none.
    """
    sorter: TopologicalSorter[tuple[int, int]] = TopologicalSorter()
    jobs = {id(each): each for root in roots(job) or {job} for each in _below(root)}
    ran, middle, done = 0, 1, 2  # its body ran; all below its children is done; all below it is done
    for place, each in jobs.items():
        children, follow_ons = [*each._toil_inside(), *each._toil_links.children], each._toil_links.follow_ons
        sorter.add((place, ran))
        sorter.add((place, middle), (place, ran), *((id(child), done) for child in children))
        sorter.add((place, done), (place, middle), *((id(follow_on), done) for follow_on in follow_ons))
        for child in children:
            sorter.add((id(child), ran), (place, ran))
        for follow_on in follow_ons:
            sorter.add((id(follow_on), ran), (place, middle))
    try:
        return [jobs[place] for place, moment in sorter.static_order() if moment == ran]
    except CycleError as error:
        circle = dict.fromkeys(str(jobs[place]) for place, _ in reversed(error.args[1]))
        raise JobGraphDeadlockException(f"these jobs wait for one another: {' → '.join([*circle, next(iter(circle))])}") from None


def check_checkpoints(job: Job) -> None:
    """Check that no checkpoint job has successors before it runs.

    Raises:
        JobGraphDeadlockException: One has.
    """
    for root in roots(job):
        for each in _below(root):
            if each.checkpoint and (successors(each) or each._toil_links.services):
                raise JobGraphDeadlockException(f"the checkpoint job {each} has successors before it runs; add them in its run method")
