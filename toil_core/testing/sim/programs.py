"""Random workflows."""

from __future__ import annotations

from toil_core.testing.sim.chance import Stream
from toil_core.testing.sim.program import Plan, Program, below


def random_program(seed: int) -> Program:
    """A workflow that can be run to its end.

    Args:
        seed: The root seed.
    """
    number = 0
    while True:
        program = Program(_Maker(Stream(seed, f"program {number}"), Stream(seed, f"cores {number}")).root())
        if program.possible:
            return program
        number += 1


class _Maker:
    def __init__(self, stream: Stream, cores: Stream) -> None:
        self._stream = stream
        self._cores = cores
        self._count = 0

    def root(self) -> Plan:
        root = self._plan()
        self._adds(root, 2)
        if self._stream.often(0.4):
            static = self._group(1)
            led = {after for former in static for after in (*former.children, *former.follow_ons)}
            for top in static:
                if top not in led:
                    (root.children if self._stream.often(0.5) else root.follow_ons).append(top)
        return root

    def _plan(self) -> Plan:
        stream = self._stream
        plan = Plan(f"p{self._count}", size=stream.one([0, 0, 1100]), seconds=stream.one([0.001, 0.01, 1.0, 20.0]))
        plan.cores = self._cores.one([1.0, 1.0, 0.5])
        plan.isolated = stream.often(0.8)
        plan.writes = stream.often(0.3)
        plan.temporary = plan.writes and stream.often(0.4)
        if stream.often(0.5):
            plan.shape = stream.one(["one", "other"])
        self._count += 1
        return plan

    def _group(self, depth: int) -> list[Plan]:
        """Plans that are made together: edges and promises go from earlier to later ones."""
        stream = self._stream
        plans: list[Plan] = []
        for _ in range(1 + stream.below(5 if depth else 3)):
            plan = self._plan()
            if depth and stream.often(0.4):
                self._adds(plan, depth - 1)
            for former in plans:
                edge = stream.below(6)
                if edge < 2:
                    (former.children if edge else former.follow_ons).append(plan)
            if plans and stream.often(0.5):
                plan.needs = [stream.one(plans)]
                plan.reads = [need for need in plan.needs if need.writes]
            plans.append(plan)
        for plan in plans:
            if not plan.children and not plan.follow_ons and stream.often(0.2):
                plan.checkpoint = True
                for inner in below(plan.added):
                    inner.tries = stream.one([1, 2, None])
        return plans

    def _adds(self, plan: Plan, depth: int) -> None:
        stream = self._stream
        new = self._group(depth)
        led = {after for former in new for after in (*former.children, *former.follow_ons)}
        for top in new:
            if top not in led:
                (plan.adds_children if stream.often(0.7) else plan.adds_follow_ons).append(top)
        if plan.adds_children and stream.often(0.5):
            plan.promises = [stream.one(plan.adds_children)]
        if stream.often(0.2):
            self._serves(plan, new)
        written = [each for each in below(plan.adds_children, dynamic=False) if each.writes and not each.temporary]
        if written and stream.often(0.6) and not any(each.needs and set(each.needs) & set(written) for each in below(plan.adds_follow_ons, dynamic=False)):
            cleaner = self._plan()
            cleaner.needs = [stream.one(written)]
            cleaner.deletes = [*cleaner.needs]
            plan.adds_follow_ons.append(cleaner)

    def _serves(self, plan: Plan, new: list[Plan]) -> None:
        stream = self._stream
        former: list[Plan] = []
        for _ in range(1 + stream.below(2)):
            service = Plan(f"s{self._count}", service=True, seconds=0.5)
            self._count += 1
            if former and stream.often(0.5):
                former[-1].services.append(service)
                service.needs = [former[-1]]
            else:
                plan.adds_services.append(service)
            former.append(service)
        for user in new:
            if stream.often(0.4):
                user.needs = [*user.needs, stream.one(former)]
