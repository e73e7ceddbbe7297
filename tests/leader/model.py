"""The order rules, said again as plainly as can be, to judge the graph by; slow, and only for tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from tests.leader.world import Plan, below


def jobs(plans: Iterable[Plan]) -> list[Plan]:
    """Those that are no services."""
    return [plan for plan in plans if not plan.service]


class Model:
    """What must have run before a plan's body may run.

    Args:
        root: The workflow.
    """

    def __init__(self, root: Plan) -> None:
        self.root = root
        self.plans = [plan for plan in below([root]) if not plan.service]

    @cached_property
    def adder(self) -> dict[Plan, Plan]:
        """Which plan's body makes a plan known; none for those that the user's program made."""
        return {new: plan for plan in self.plans for new in below([*plan.adds_children, *plan.adds_follow_ons], dynamic=False) if not new.service}

    @cached_property
    def before(self) -> dict[Plan, set[Plan]]:
        """All plans whose bodies must have run before each plan's."""
        rules: dict[Plan, set[Plan]] = {plan: set() for plan in self.plans}
        for plan in self.plans:
            children, follow_ons = [*plan.children, *plan.adds_children], [*plan.follow_ons, *plan.adds_follow_ons]
            for follow_on in follow_ons:
                rules[follow_on].update([plan, *jobs(below(children))])
            for child in children:
                rules[child].add(plan)
            rules[plan].update(self.awaited(plan.needs))
            if plan in self.adder:
                rules[plan].add(self.adder[plan])
        return rules

    def promised(self, plans: Sequence[Plan]) -> set[Plan]:
        """The plans whose values a promise of these stands for in the end."""
        found: set[Plan] = set()
        stack = jobs(plans)
        while stack:
            plan = stack.pop()
            if plan not in found:
                found.add(plan)
                stack.extend(plan.promises)
        return found

    def awaited(self, plans: Sequence[Plan]) -> set[Plan]:
        """The plans that have to run before such promises are kept: all below checkpoint jobs too."""
        promised = self.promised(plans)
        return promised.union(jobs(below(plan for plan in promised if plan.checkpoint)))

    def can_run(self, failing: Collection[Plan] = ()) -> set[Plan]:
        """Every plan that gets to run for good when some never do."""
        ran: set[Plan] = set()
        while True:
            more = {plan for plan in self.plans if plan not in ran and plan not in failing and self.before[plan] <= ran}
            if not more:
                return ran
            ran |= more

    def known(self, ran: Collection[Plan]) -> set[Plan]:
        """Every plan that was made known when these ran."""
        return {plan for plan in self.plans if plan not in self.adder or self.adder[plan] in ran}

    def check(self, log: Sequence[Plan], ran: Collection[Plan]) -> None:
        """The bodies that counted are these, each once, in an order that holds the rules."""
        assert len(log) == len(set(log))
        assert set(log) == set(ran)
        seen: set[Plan] = set()
        for plan in log:
            assert self.before[plan] <= seen, f"{plan} ran before {self.before[plan] - seen}"
            seen.add(plan)
