"""What can be simulated, by name: a workflow, and the world that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from toil_core.testing.sim.chance import Fault, Stream
from toil_core.testing.sim.cluster import DELIVERIES, FATES, NEWS
from toil_core.testing.sim.conditions import CLOCKS, LEADER_FAULTS, SERVING, WAIT_FAULTS, Conditions, swarm
from toil_core.testing.sim.program import Program
from toil_core.testing.sim.programs import random_program
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.store import DAMAGE, OUTCOMES, StoreKind
from toil_core.testing.sim.worker import COMMIT_FAULTS, TASK_FAULTS
from toil_core.testing.sim.world import World

SHAPE = "shape:"
"""What the name of a scenario with one of the small workflows begins with."""


@dataclass(frozen=True)
class Scenario:
    """Something that can be simulated.

    Args:
        name: What it is called.
        about: What it is, in one line.
        program: The workflow, by seed.
        conditions: The world, by seed.
    """

    name: str
    about: str
    program: Callable[[int], Program]
    conditions: Callable[[int], Conditions]

    def world(self, seed: int, faults: Iterable[Fault] | None = None) -> World:
        """The world of a seed.

        Args:
            seed: The root seed.
            faults: What goes wrong, instead of what the conditions say.
        """
        return World(self.program(seed), seed, self.conditions(seed), faults)


def named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        KeyError: There is none.
    """
    if not name.startswith(SHAPE):
        return SCENARIOS[name] if name in SCENARIOS else BEYOND[name]
    make = SHAPES[name.removeprefix(SHAPE)]
    return Scenario(name, "", lambda seed: Program(make()), swarm)


def _calm(seed: int) -> Conditions:
    return replace(swarm(seed), mix={})


def _only(*kinds: str, store: StoreKind | None = None) -> Callable[[int], Conditions]:
    """Conditions of the swarm, but with faults of these kinds alone."""

    def conditions(seed: int) -> Conditions:
        stream = Stream(seed, "conditions of some kinds")
        mix = {kind: stream.one([0.01, 0.03, 0.1, 0.3]) for kind in kinds if stream.often(0.7)}
        every = replace(swarm(seed), mix=mix)
        return every if store is None else replace(every, store=store)

    return conditions


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("swarm", "a random workflow, and a random mix of all that can go wrong", random_program, swarm),
        Scenario("calm", "a random workflow, and nothing goes wrong", random_program, _calm),
        Scenario("store", "the job store fails before and after it did what it was asked, loses parts, is full, is slow, repeats", random_program, _only(*OUTCOMES)),
        Scenario("crowded", "the job store takes 3.5 writes and 5.5 reads a second under a prefix, a thousandth of what large object stores do", random_program, _only("crash before", "rival", store=StoreKind(3.5, 5.5))),
        Scenario("bytes", "bytes are cut short and altered on their way from the job store and from workers", random_program, _only(*DAMAGE, "altered", "prefix only")),
        Scenario("leaders", "leaders die, freeze, meet others and have wrong clocks", random_program, _only(*LEADER_FAULTS, *WAIT_FAULTS, *CLOCKS)),
        Scenario("workers", "attempts fail, workers are killed, services end", random_program, _only(*TASK_FAULTS, *COMMIT_FAULTS, *SERVING, "worker killed")),
        Scenario("machines", "machines are lost, taken away, cut off and come to life again", random_program, _only(*FATES)),
        Scenario("deliveries", "requests are delivered twice, while or after they run for the first time; workers are killed", random_program, _only(*DELIVERIES, *COMMIT_FAULTS, "worker killed")),
        Scenario("news", "what workers tell comes late, twice, in another order, altered or not at all", random_program, _only(*NEWS)),
    )
}  # fmt: skip
"""All scenarios but those of the small workflows."""
BEYOND = {
    each.name: each
    for each in (
        Scenario("stale", "others see what changed in the job store up to 2 s late, which breaks its contract", random_program, _only(*LEADER_FAULTS, store=StoreKind(lag=2.0))),
        Scenario("stale-calm", "the same, and nothing else goes wrong", random_program, lambda seed: replace(_calm(seed), store=StoreKind(lag=2.0))),
    )
}  # fmt: skip
"""Worlds that are worse than what the engine promises to survive: it has to stop with an error, and may come to no end."""
