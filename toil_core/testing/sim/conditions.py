"""What a simulated world is like, and what became of a run in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from toil_core.testing.sim.chance import Fault, Stream
from toil_core.testing.sim.cluster import DELIVERIES, FATES, NEWS
from toil_core.testing.sim.store import DAMAGE, OUTCOMES, StoreKind
from toil_core.testing.sim.worker import COMMIT_FAULTS, TASK_FAULTS

LEADER_FAULTS = ("crash before", "crash after", "freeze before", "freeze after")
"""What can happen to a leader at an operation of the store."""
WAIT_FAULTS = ("crash waiting", "freeze waiting", "rival", "stop asked")
"""What can happen to a leader that waits."""
CLOCKS = ("clock ahead", "clock behind")
"""What can be wrong with a leader's clock."""
SERVING = ("service ends",)
"""What can happen to a service that is up."""
FAULTS = (*OUTCOMES, *DAMAGE, *LEADER_FAULTS, *WAIT_FAULTS, *CLOCKS, *TASK_FAULTS, *COMMIT_FAULTS, *SERVING, *FATES, *NEWS, *DELIVERIES)
"""Every kind of fault, in the order in which a mix is drawn."""


@dataclass(frozen=True)
class Conditions:
    """What a world is like.

    Args:
        mix: How likely each kind of fault is where it can happen.
        most: How many faults happen at most.
        nodes: How many machines there are.
        cores: Cores of each.
        backlog: How many requests the batch system likes to hold.
        store: What the job store is like.
        chain: Whether workers go on with a job's only successor.
        fold_after: After how many results the leader folds its graph.
        trouble: Seconds after which nothing goes wrong any more.
        patience: Seconds after that in which everything has to be done.
        thorough: The share of restarts at which it is checked that the next one would come to the same.
    """

    mix: Mapping[str, float] = field(default_factory=dict)
    most: int = 40
    nodes: int = 2
    cores: int = 2
    backlog: int = 4
    store: StoreKind = field(default_factory=StoreKind)
    chain: bool = True
    fold_after: int = 1
    trouble: float = 1800.0
    patience: float = 7200.0
    thorough: float = 1.0


@dataclass
class Report:
    """What became of a simulated run.

    Attributes:
        broken: The invariant that did not hold, or what else went wrong; empty when all is well.
        trace: Everything that happened, a line each.
        faults: What went wrong on purpose.
        crashes: Everything that a leader did at which it could have died, as the fault that lets it.
        seconds: Simulated time that it took.
        leaders: How many leaders there were.
        value: What the workflow came to.
        error: What was raised when it is broken.
    """

    broken: str = ""
    trace: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    crashes: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    leaders: int = 0
    value: bytes = b""
    error: BaseException | None = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Tells this trace from every other."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


def swarm(seed: int) -> Conditions:
    """Conditions with a mix of faults of their own.

    Of each seed's mix about a third of all kinds of faults are part, so that now and then few of them are and these often.

    Args:
        seed: The root seed.
    """
    stream = Stream(seed, "conditions")
    mix = {kind: stream.one([0.003, 0.01, 0.03, 0.1]) for kind in FAULTS if stream.often(0.33)}
    most = stream.one([2, 5, 10, 20])
    rates = stream.one([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (35.0, 55.0), (3.5, 5.5)])
    nodes, cores = 1 + stream.below(3), 1 + stream.below(3)
    return Conditions(mix, most, nodes, cores, stream.one([1, 4, 4, 20]), StoreKind(*rates), stream.often(0.7), stream.one([1, 2, 5, 1000]), thorough=0.25)
