"""Making a run that went wrong smaller: fewer jobs, plainer ones and fewer faults, as long as it goes wrong in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import msgspec

from toil_core.testing.sim.case import Case, Jobs, program_of
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.reductions import lifted, plainer, rerooted, without
from toil_core.testing.sim.shrink import same, shrink, thin
from toil_core.testing.sim.world import World

_RATES = (0.03, 0.1, 0.3)
_DRAWS = 12


def smallest(case: Case, tries: int = 2000) -> tuple[Case, Report]:
    """The smallest run found that goes wrong in the same way.

    First faults are taken away. Then jobs are, with all that only they lead to: halves of them, then single ones; jobs are left out from between others, and
    made plainer. What a fault befalls is told by its place in the run, and in another workflow this is another place. So of each smaller workflow the
    same faults are tried first, and then some draws of faults of the kinds that matter.

    Args:
        case: One that goes wrong.
        tries: How often to run anything at most.

    Returns:
        The smaller one, and what becomes of it.
    """
    search = _Search(case, tries)
    while search.report.broken and search.round():
        pass
    return search.best, search.report


class _Search:
    def __init__(self, case: Case, tries: int) -> None:
        self._left = tries
        self._conditions = case.conditions
        self.best = case
        self.report = self._fewer_faults()

    def round(self) -> bool:
        """Try everything that could make it smaller; whether something did."""
        before = self.best
        thin(lambda: len(self.best.jobs), lambda start, stop: self._take(without(self.best.jobs, self.best.jobs[start:stop])), 1)
        self._all(rerooted)
        self._all(lifted)
        self._all(plainer)
        self.report = self._fewer_faults()
        while self._go_on(self._drawn(program_of(self.best.jobs), len(self.best.faults) - 1), self.best.jobs):
            pass
        return self._left > 0 and (self.best.jobs != before.jobs or len(self.best.faults) < len(before.faults))

    def _all(self, make: Callable[[Jobs], Iterator[Jobs]]) -> None:
        """Take every change of that sort that can be; each time one was, the others are made of what is there now."""
        place = 0
        while self._left > 0:
            candidates = list(make(self.best.jobs))
            while place < len(candidates) and not self._take(candidates[place]):
                place += 1
            if place >= len(candidates):
                return

    def _take(self, jobs: Jobs) -> bool:
        """Go on with this workflow if it goes wrong in the same way."""
        if jobs == self.best.jobs:
            return False
        try:
            program = program_of(jobs)
        except ValueError:
            return False
        draws = self.best.seed if self.best.draws is None else self.best.draws
        same_faults = (draws, World(program, draws, self._conditions, self.best.faults))
        return self._go_on(chain([same_faults], self._drawn(program, len(self.best.faults) + 2)), jobs)

    def _drawn(self, program: Program, most: int) -> Iterator[tuple[int, World]]:
        """Worlds with faults of the kinds that matter, with the seed of what is drawn there."""
        kinds = {fault.kind: None for fault in self.best.faults}
        for number in range(_DRAWS if kinds and most > 0 else 0):
            mix = dict.fromkeys(kinds, _RATES[number % len(_RATES)])
            yield number, World(program, number, replace(self._conditions, mix=mix, most=most))

    def _go_on(self, worlds: Iterable[tuple[int, World]], jobs: Jobs) -> bool:
        """Go on with the first of these worlds of the workflow in which the same goes wrong."""
        for draws, world in worlds:
            if self._left <= 0:
                return False
            self._left -= 1
            report = world.run()
            if same(report, self.report):
                more = len(report.faults) > len(self.best.faults)
                self.best = msgspec.structs.replace(self.best, jobs=jobs, faults=tuple(report.faults), draws=None if draws == self.best.seed else draws)
                self.report = self._fewer_faults() if more else report
                return True
        return False

    def _fewer_faults(self) -> Report:
        def run(faults: Sequence[Fault]) -> Report:
            self._left -= 1
            return msgspec.structs.replace(self.best, faults=tuple(faults)).world().run()

        report = shrink(self.best.faults, run, max(0, self._left))
        self.best = msgspec.structs.replace(self.best, faults=tuple(report.faults))
        return report
