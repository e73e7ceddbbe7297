"""From jobs as the user linked them to the records that the engine runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toil_core.errors import GraphError
from toil_core.wire.jobs import Kind, NewJob
from toil_core.workflow.body import Packer, home_of
from toil_core.workflow.job import Job
from toil_core.workflow.order import check_order
from toil_core.workflow.pickling import UnknownJob, Writer
from toil_core.workflow.policy import Policy
from toil_core.workflow.requirement import Wanted
from toil_core.workflow.stand_in import After, stand_in

USER = "the user's program"
"""The owner of jobs that were not added by a running job."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A graph as records.

    Args:
        jobs: The jobs.
        kinds: The table that their kinds are indices in.
        ids: For each job by `id(job)`, its id.
        children: Ids of the jobs that are children of the running job; or of the root alone.
        follow_ons: Ids of the jobs that are follow-ons of the running job.
        services: Ids of the services that are the running job's.
        modules: The modules that define the jobs; only of a root's graph.
    """

    jobs: tuple[NewJob, ...]
    kinds: tuple[Kind, ...]
    ids: Mapping[int, str]
    children: tuple[str, ...]
    follow_ons: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    modules: frozenset[str] = frozenset()


def flatten_root(root: Job[Any], prefix: str, policy: Policy) -> tuple[Flat, bytes]:
    """The graph below a root, and the payload that holds the bodies.

    Args:
        root: The job that all others come after.
        prefix: Put before each job's number to make its id.
        policy: Defaults and limits of requirements.

    Raises:
        GraphError: The jobs form no graph that can be run: a cycle, a second root, a promise
            that nothing keeps, a requirement above a limit.
        NotPicklable: Something that a job needs cannot be sent to a worker.
    """
    if not isinstance(root, Job):
        raise GraphError(f"a workflow starts with a job, not with {root!r}")
    if root._toil_wanted.service:
        raise GraphError(f"a workflow starts with a job, and '{root.name}' is a service")
    ids: dict[int, str] = {}
    nodes = _collect((root,), prefix, ids, USER)
    afters = _add_afters(nodes, prefix, ids, policy)
    writer = Writer(ids)
    flat = _flatten(nodes, afters, ids, writer, policy)
    jobs = [flat.jobs[index] for index in range(len(nodes))]
    check_order(nodes, jobs)
    return Flat(flat.jobs, flat.kinds, ids, (ids[id(root)],), modules=frozenset(map(home_of, nodes))), writer.payload()


@dataclass(frozen=True, slots=True)
class Added:
    """What a running job added, before and after its return value is known.

    Args:
        flat: The new jobs.
        nodes: The same, as the user made them.
        writer: Holds their bodies; the return value goes there too.
    """

    flat: Flat
    nodes: Sequence[Job[Any]]
    writer: Writer


def flatten_added(running: Job[Any], job: str, prefix: str, owner: str, policy: Policy) -> Added:
    """The jobs that a running job added.

    Args:
        running: The running job.
        job: Its id.
        prefix: Put before each new job's number to make its id.
        owner: Names the attempt.
        policy: Defaults and limits of requirements.

    Raises:
        GraphError: As for `flatten_root`.
        NotPicklable: Something that a job needs cannot be sent to a worker.
    """
    ids = {id(running): job}
    children, follow_ons, services = running._toil_children, running._toil_follow_ons, running._toil_services or ()
    nodes = _collect((*children, *follow_ons, *services), prefix, ids, owner)
    afters = _add_afters(nodes, prefix, ids, policy)
    writer = Writer(ids)
    flat = _flatten(nodes, afters, ids, writer, policy)
    known = _known(children, ids), _known(follow_ons, ids), _known(services, ids)
    return Added(Flat(flat.jobs, flat.kinds, ids, *known), nodes, writer)


def _collect(tops: Sequence[Job[Any]], prefix: str, ids: dict[int, str], owner: str) -> list[Job[Any]]:
    """Every job below the tops, numbered in the order of a walk that goes down first."""
    nodes: list[Job[Any]] = []
    stack = list(reversed(tops))
    while stack:
        node = stack.pop()
        if id(node) in ids:
            continue
        ids[id(node)] = f"{prefix}.{len(nodes)}"
        nodes.append(node)
        if node._toil_owner != owner:
            _own(node, owner)
        if node._toil_services:
            stack.extend(reversed(node._toil_services))
        if node._toil_follow_ons:
            stack.extend(reversed(node._toil_follow_ons))
        if node._toil_children:
            stack.extend(reversed(node._toil_children))
    for node in nodes:
        for before in node._toil_before:
            if id(before) not in ids:
                raise GraphError(
                    f"job '{node.name}' comes after job '{before.name}' too, which is not part of this graph: "
                    f"add '{before.name}' to it, or a graph would have two roots"
                )
    return nodes


def _own(node: Job[Any], owner: str) -> None:
    if node._toil_owner is not None:
        raise GraphError(f"job '{node.name}' was added to the workflow already, by {node._toil_owner}; make a new one")
    node._toil_owner = owner


def _add_afters(nodes: list[Job[Any]], prefix: str, ids: dict[int, str], policy: Policy) -> dict[int, After]:
    """The jobs, by `id(job)`, that take over the successors of those whose needs are promised; they join the others."""
    afters = {}
    for node in nodes[:]:
        if node._toil_wanted.promised and (node._toil_children or node._toil_follow_ons or node._toil_services):
            after = afters[id(node)] = After(node.name, policy.max_memory)
            after._toil_children, after._toil_follow_ons, after._toil_services = node._toil_children, node._toil_follow_ons, node._toil_services
            ids[id(after)] = f"{prefix}.{len(nodes)}"
            nodes.append(after)
    return afters


def _flatten(nodes: Sequence[Job[Any]], afters: Mapping[int, After], ids: dict[int, str], writer: Writer, policy: Policy) -> Flat:
    packer, kinds, jobs = Packer(writer, ids), _Kinds(policy), []
    for node in nodes:
        sent = stand_in(node, policy.max_memory) if node._toil_wanted.promised else node
        try:
            span, crc, needs = packer.add(sent)
        except UnknownJob as unknown:
            raise GraphError(
                f"job '{node.name}' needs the value of job '{unknown.job.name}', which was never added to the graph: "
                f"add it with add_child or add_follow_on"
            ) from None
        children: tuple[str, ...] = _known(node._toil_children, ids) if node._toil_children else ()
        follow_ons: tuple[str, ...] = _known(node._toil_follow_ons, ids) if node._toil_follow_ons else ()
        services: tuple[str, ...] = _known(node._toil_services, ids) if node._toil_services else ()
        if node._toil_wanted.checkpoint and (children or follow_ons or services):
            raise GraphError(f"job '{node.name}' is a checkpoint job: it may have no successors and no services before it runs")
        after = afters.get(id(node)) if afters else None
        if after is not None:
            children, follow_ons, services = (), (ids[id(after)],), ()
        kind = kinds.index(sent._toil_wanted, sent.name)
        jobs.append(NewJob(ids[id(node)], kind, span, crc, needs, children, follow_ons, services))
    return Flat(tuple(jobs), tuple(kinds.table), ids, ())


def _known(nodes: Sequence[Job[Any]], ids: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids[id(node)] for node in nodes))


class _Kinds:
    """The table of kinds; jobs of one function, or of one class with the same needs, share one."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._index: dict[tuple[int, str], int] = {}
        self._wanted: list[Wanted] = []  # kept alive, as their addresses are keys
        self.table: dict[Kind, int] = {}

    def index(self, wanted: Wanted, name: str) -> int:
        found = self._index.get((id(wanted), name))
        if found is None:
            requirement = self._policy.complete(wanted, name)
            kind = Kind(name, requirement, wanted.isolated, wanted.tries, wanted.service, wanted.checkpoint, wanted.local)
            found = self._index[id(wanted), name] = self.table.setdefault(kind, len(self.table))
            self._wanted.append(wanted)
        return found
