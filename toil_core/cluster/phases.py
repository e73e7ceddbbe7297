"""The launch as a plan: named phases, what each waits for, and what to do when one ends. Nothing here reads a clock or does any work.

Every phase can be done again without harm, so a launch that was interrupted is taken up by doing all of them anew: what is there already
takes no time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from toil_core.sizes import count

MOST = 100
"""How many phases run at the same time."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A step of a launch.

    Args:
        name: Unique; of a node's phases `NODE/PHASE`.
        needs: The phases that must be done before.
        seconds: How long it may take.
    """

    name: str
    needs: tuple[str, ...] = ()
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a phase."""

    phase: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The launch cannot succeed any more.

    Args:
        phase: Which phase failed.
        why: The reason.
    """

    phase: str
    why: str


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """The launch goes on without a node.

    Args:
        node: Which.
        phase: The phase of it that failed.
        why: The reason.
    """

    node: str
    phase: str
    why: str


Command = Start | GiveUp | LeaveOut


@dataclass
class Plan:
    """Which phases are done, which run, and which may begin.

    Args:
        most: How many may run at the same time.
        optional: The nodes that may fail.
        least: How many of these must not.
    """

    most: int = MOST
    optional: frozenset[str] = frozenset()
    least: int = 0
    _phases: dict[str, Phase] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _running: dict[str, float] = field(default_factory=dict)
    _left_out: dict[str, LeaveOut] = field(default_factory=dict)
    _failed: GiveUp | None = None

    def add(self, phases: Iterable[Phase]) -> None:
        """Add phases; those that they need must be there.

        Raises:
            ValueError: A name is taken, or a phase needs one that is not there.
        """
        for phase in phases:
            missing = [name for name in phase.needs if name not in self._phases]
            if phase.name in self._phases or missing:
                raise ValueError(f"phase {phase.name}: {f'needs {missing[0]}' if missing else 'twice'}")
            self._phases[phase.name] = phase

    def go(self, now: float) -> list[Command]:
        """What may begin now, in the order of the phases."""
        if self._failed:
            return []
        free = self.most - len(self._running)
        ready = [phase for phase in self._phases.values() if self._may_begin(phase)][:free]
        self._running.update({phase.name: now for phase in ready})
        return [Start(phase.name) for phase in ready]

    def done(self, name: str, now: float) -> list[Command]:
        """A phase is done; one that was given up meanwhile counts no more."""
        if self._running.pop(name, None) is None:
            return []
        self._done.add(name)
        return self.go(now)

    def failed(self, name: str, why: str, now: float, *, spare: bool = True) -> list[Command]:
        """A phase failed: of a node that may fail, that node is left out; else nothing more begins.

        Args:
            name: The phase.
            why: The reason.
            now: The time.
            spare: Whether its node may fail in this way.
        """
        if self._running.pop(name, None) is None or self._failed:
            return []
        node = name.rpartition("/")[0]
        if spare and node in self.optional:
            left_out = self._left_out[node] = LeaveOut(node, name, why)
            self._phases = {each: phase for each, phase in self._phases.items() if not each.startswith(f"{node}/")}
            if len(self.optional) - len(self._left_out) >= self.least:
                return [left_out, *self.go(now)]
            why = f"{why} (so {len(self._left_out)} of {count(len(self.optional), 'worker')} failed, and {self.least} must come up)"
        self._failed = GiveUp(name, why)
        return [self._failed]

    def passed(self, now: float) -> list[Command]:
        """Time passed: a phase that runs for too long has failed."""
        late = [name for name in self._running if now >= self.limit(name)]
        seconds = {name: self._phases[name].seconds for name in late}
        return [command for name in late for command in self.failed(name, f"it is not done after {seconds[name]:g} s", now)]

    def next_limit(self) -> float | None:
        """When the first of the running phases has run for too long; None when none runs."""
        return min((started + self._phases[name].seconds for name, started in self._running.items()), default=None)

    def limit(self, name: str) -> float:
        """When a running phase has run for too long."""
        return self._running[name] + self._phases[name].seconds

    @property
    def running(self) -> Mapping[str, float]:
        """The phases that run, and since when."""
        return self._running

    @property
    def is_over(self) -> bool:
        """Whether all is done, or nothing more will be and nothing runs."""
        return not self._running and (self._failed is not None or self._done.issuperset(self._phases))

    @property
    def failure(self) -> GiveUp | None:
        """Why the launch cannot succeed."""
        return self._failed

    @property
    def left_out(self) -> Mapping[str, LeaveOut]:
        """The nodes that the launch went on without."""
        return self._left_out

    def waiting(self) -> dict[str, tuple[str, ...]]:
        """For each phase that has not begun, the phases that it waits for."""
        return {
            phase.name: tuple(name for name in phase.needs if name not in self._done)
            for phase in self._phases.values()
            if phase.name not in self._done and phase.name not in self._running
        }

    def _may_begin(self, phase: Phase) -> bool:
        return phase.name not in self._done and phase.name not in self._running and self._done.issuperset(phase.needs)


NODE_PHASES = ("machine", "reach", "system", "install", "engine", "ready")
"""What is done on each node, in this order: it gets an address, answers, has what we need of the system, has the image, runs the engine's
program, and that works."""

SECONDS: Mapping[str, float] = {
    "keys": 60, "image": 300, "prepare": 300, "machines": 300,
    "machine": 900, "reach": 900, "system": 600, "install": 900, "engine": 120, "ready": 300,
}  # fmt: skip
"""How long each phase may take."""


def first_phases() -> list[Phase]:
    """What comes before any node: keys, what is installed, what the cloud needs, and asking for the machines."""
    return [
        Phase("keys", (), SECONDS["keys"]),
        Phase("image", (), SECONDS["image"]),
        Phase("prepare", (), SECONDS["prepare"]),
        Phase("machines", ("keys", "prepare"), SECONDS["machines"]),
    ]


def node_phases(node: str, leader: str | None = None) -> list[Phase]:
    """The phases of a node.

    Args:
        node: Its name.
        leader: Of a worker, the name of the leader when that has phases in the same plan.
    """
    needs = {"machine": ("machines",), "install": (f"{node}/system", "image"), "engine": (f"{node}/install", "keys")}
    phases = []
    for before, name in zip(("", *NODE_PHASES), NODE_PHASES, strict=False):
        phases.append(Phase(f"{node}/{name}", needs.get(name, (f"{node}/{before}",)), SECONDS[name]))
    if leader is not None:
        by_name = {phase.name: phase for phase in phases}
        for name, needed in ((f"{node}/engine", f"{leader}/machine"), (f"{node}/ready", f"{leader}/ready")):
            by_name[name] = Phase(name, (*by_name[name].needs, needed), by_name[name].seconds)
        phases = list(by_name.values())
    return phases
