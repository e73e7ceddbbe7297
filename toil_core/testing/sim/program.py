"""Workflows as plain data: what each job does when it runs, and what has to have happened before."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Annotated

import msgspec

from toil_core.batch_system import Requirement, Usage
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Kind, NewJob, Result

_NOT_BELOW_ZERO = msgspec.Meta(ge=0)


class Facts(msgspec.Struct):
    """What a job is by itself.

    Args:
        name: What tells it from all other jobs of the program.
        shape: What the engine takes for the job's name: jobs of one shape may travel together. Its own name if not given.
        size: Bytes that its body and its value are larger by.
        seconds: How long it runs.
        cores: How many cores it needs; a service needs next to none.
        isolated: Whether it has a process of its own.
        service: Whether it is a service.
        checkpoint: Whether it is a checkpoint job.
        tries: How many attempts it gets for its own errors; None for the run's default.
        fails: How many of its attempts fail, the first ones in every epoch.
        writes: Whether it writes a file, and tells of it in its value.
        temporary: Whether its file is to go when nobody needs it any more.
    """

    name: str
    shape: str = ""
    size: Annotated[int, _NOT_BELOW_ZERO] = 0
    seconds: Annotated[float, _NOT_BELOW_ZERO] = 1.0
    cores: Annotated[float, _NOT_BELOW_ZERO] = 1.0
    isolated: bool = True
    service: bool = False
    checkpoint: bool = False
    tries: int | None = None
    fails: Annotated[int, _NOT_BELOW_ZERO] = 0
    writes: bool = False
    temporary: bool = False


class Plan(Facts, eq=False):
    """What a job does when it runs, with the jobs that it has to do with.

    Args:
        children: Jobs that the same body, or the user's program, made with it: its children.
        follow_ons: The same, its follow-ons.
        services: Services that start after this service.
        needs: Jobs whose values its arguments promise.
        promises: Jobs whose values its own value promises.
        adds_children: Children that its body adds.
        adds_follow_ons: Follow-ons that its body adds.
        adds_services: Services that its body adds.
        reads: Jobs whose files it reads; they are among its needs.
        deletes: Jobs whose files it deletes; they are among its needs.
    """

    children: list[Plan] = []
    follow_ons: list[Plan] = []
    services: list[Plan] = []
    needs: list[Plan] = []
    promises: list[Plan] = []
    adds_children: list[Plan] = []
    adds_follow_ons: list[Plan] = []
    adds_services: list[Plan] = []
    reads: list[Plan] = []
    deletes: list[Plan] = []

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def added(self) -> list[Plan]:
        """What its body adds."""
        return [*self.adds_children, *self.adds_follow_ons, *self.adds_services]

    @property
    def kind(self) -> Kind:
        """What the engine knows of it."""
        return Kind(self.shape or self.name, Requirement(0.01 if self.service else self.cores), self.isolated, self.tries, self.service, self.checkpoint)


class Value(msgspec.Struct, frozen=True):
    """What a job's attempt returns.

    Args:
        plan: The plan's name.
        digest: What it computed from the values that it was given.
        file: Key of the file that it wrote; empty when it wrote none.
        filler: Makes it larger.
    """

    plan: str
    digest: str
    file: str = ""
    filler: str = ""


def below(tops: Iterable[Plan], *, dynamic: bool = True) -> list[Plan]:
    """The plans and all below them, each once.

    Args:
        tops: The plans.
        dynamic: Whether with what bodies add.
    """
    found: dict[Plan, None] = {}
    stack = list(reversed(list(tops)))
    while stack:
        plan = stack.pop()
        if plan not in found:
            found[plan] = None
            stack.extend(reversed([*plan.children, *plan.follow_ons, *plan.services, *(plan.added if dynamic else ())]))
    return list(found)


class Program:
    """A whole workflow, and the rules that its run has to keep.

    Args:
        root: The job that all others come after.
    """

    def __init__(self, root: Plan) -> None:
        self.root = root
        self.plans = below([root])
        self.by_name = {plan.name: plan for plan in self.plans}
        assert len(self.by_name) == len(self.plans), "each plan has a name of its own"

    @cached_property
    def before(self) -> dict[Plan, set[Plan]]:
        """All plans whose bodies must have run before each plan's; of services, none."""
        rules: dict[Plan, set[Plan]] = {plan: set() for plan in self.plans}
        for plan in self.plans:
            for new in below(plan.added, dynamic=False):
                rules[new].add(plan)
            children, follow_ons = [*plan.children, *plan.adds_children], [*plan.follow_ons, *plan.adds_follow_ons]
            for follow_on in follow_ons:
                rules[follow_on].update([plan, *_jobs(below(children))])
            for child in children:
                rules[child].add(plan)
            rules[plan].update(self._awaited(plan))
        return rules

    @cached_property
    def possible(self) -> bool:
        """Whether every job gets to run when nothing goes wrong: none waits for one that waits for it."""
        ran: set[Plan] = set()
        left = _jobs(self.plans)
        while left:
            more = [plan for plan in left if self.before[plan] <= ran]
            if not more:
                return False
            ran.update(more)
            left = [plan for plan in left if plan not in ran]
        return True

    def _awaited(self, plan: Plan) -> set[Plan]:
        """What has to run before the promises in the plan's arguments are kept: all below checkpoint jobs too."""
        promised = _jobs(self.promised(plan.needs))
        outer = [each for each in promised if each.checkpoint and plan not in below(each.added)]
        return {*promised, *_jobs(below(outer))}

    @cached_property
    def digests(self) -> dict[str, str]:
        """What each plan computes, by its name."""
        found: dict[str, str] = {}
        for plan in self._in_order():
            found[plan.name] = digest(plan, found)
        return found

    def promised(self, plans: Iterable[Plan]) -> list[Plan]:
        """The plans whose values a promise of these stands for in the end, each once."""
        found: dict[Plan, None] = {}
        stack = list(plans)
        while stack:
            plan = stack.pop()
            if plan not in found:
                found[plan] = None
                stack.extend(plan.promises)
        return list(found)

    def initial(self, mark: bytes) -> bytes:
        """The commit of request `0`."""
        jobs, kinds, payload, ids = describe(keys.ROOT, [self.root], {})
        result = Result(keys.ROOT, kinds=kinds, jobs=jobs, children=(ids[self.root],))
        return commits.encode(keys.ROOT, 0, [(msgspec.msgpack.encode(result), payload, Usage())], mark=mark)

    def _in_order(self) -> list[Plan]:
        found: dict[Plan, None] = {}

        def visit(plan: Plan) -> None:
            if plan not in found:
                for need in plan.needs:
                    visit(need)
                found[plan] = None

        for plan in self.plans:
            visit(plan)
        return list(found)


def digest(plan: Plan, values: Mapping[str, str]) -> str:
    """What the plan computes.

    Args:
        plan: The plan.
        values: What others computed, by name; at least its needs.
    """
    text = "\n".join([plan.name, *(f"{need.name}={values[need.name]}" for need in plan.needs)])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def describe(
    prefix: str, tops: Sequence[Plan], known: Mapping[Plan, str]
) -> tuple[tuple[NewJob, ...], tuple[Kind, ...], bytes, dict[Plan, str]]:
    """New jobs, for a result.

    Args:
        prefix: What their ids begin with.
        tops: Their plans; with all that is made together with these.
        known: Ids of jobs that they may need, beside each other.

    Returns:
        The jobs, their kinds, the payload with their bodies, and their ids.
    """
    plans = below(tops, dynamic=False)
    ids = {plan: f"{prefix}.{number}" for number, plan in enumerate(plans)}
    kinds: dict[Kind, int] = {}
    jobs, payload = [], b""
    for plan, id in ids.items():
        body = msgspec.json.encode(plan.name) + b" " * plan.size
        span = (len(payload), len(payload) + len(body))
        payload += body
        needs = tuple(ids.get(need) or known[need] for need in plan.needs)
        edges = (tuple(ids[each] for each in group) for group in (plan.children, plan.follow_ons, plan.services))
        jobs.append(NewJob(id, kinds.setdefault(plan.kind, len(kinds)), span, zlib.crc32(body), needs, *edges))
    return tuple(jobs), tuple(kinds), payload, ids


def _jobs(plans: Iterable[Plan]) -> list[Plan]:
    return [plan for plan in plans if not plan.service]
