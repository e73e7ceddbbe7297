"""One simulated run from its beginning to its end: leaders that die, freeze and are replaced, and whoever starts the next one."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from toil_core.batch_system import BatchSystem, Update
from toil_core.errors import Interrupted, JobStoreExists, LeaderReplaced, LeaderRunning, Transient
from toil_core.events import Event, JobDone, JobsDropped, RunStarted
from toil_core.job_store import JobStore
from toil_core.leader.graph import Graph
from toil_core.leader.options import EngineOptions
from toil_core.leader.run import Outcome, begin, lead
from toil_core.leader.surroundings import Inbox, Surroundings
from toil_core.options import Config
from toil_core.testing.sim.chance import Chance, Fault
from toil_core.testing.sim.clock import Actor, Clock, Killed
from toil_core.testing.sim.cluster import Cluster, SimulatedBatch
from toil_core.testing.sim.invariants import Epochs, LeaderTruth, Truth, check_fixpoint, need
from toil_core.testing.sim.program import Plan, Program, Value
from toil_core.testing.sim.store import Blobs
from toil_core.wire import commits, keys
from toil_core.wire.patient import PatientStore
from toil_core.wire.run import LeaderInfo
from toil_core.wire.work import Setup, Task

LEADER_FAULTS = ("crash before", "crash after", "freeze before", "freeze after")
"""What can happen to a leader at an operation of the store."""
WAIT_FAULTS = ("crash waiting", "freeze waiting", "rival", "stop asked")
"""What can happen to a leader that waits."""


@dataclass(frozen=True)
class Conditions:
    """What a world is like.

    Args:
        mix: How likely each kind of fault is where it can happen.
        most: How many faults happen at most.
        nodes: How many machines there are.
        cores: Cores of each.
        backlog: How many requests the batch system likes to hold.
        rate: Operations a second under one prefix that the store takes; 0 for any number.
        chain: Whether workers go on with a job's only successor.
        trouble: Seconds after which nothing goes wrong any more.
        patience: Seconds after that in which everything has to be done.
    """

    mix: Mapping[str, float] = field(default_factory=dict)
    most: int = 40
    nodes: int = 2
    cores: int = 2
    backlog: int = 4
    rate: float = 0.0
    chain: bool = True
    trouble: float = 1800.0
    patience: float = 7200.0


@dataclass
class Report:
    """What became of a simulated run.

    Attributes:
        broken: The invariant that did not hold, or what else went wrong; empty when all is well.
        trace: Everything that happened, a line each.
        faults: What went wrong on purpose.
        sites: Every operation of a leader on the store.
        seconds: Simulated time that it took.
        leaders: How many leaders there were.
    """

    broken: str = ""
    trace: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    seconds: float = 0.0
    leaders: int = 0

    @property
    def digest(self) -> str:
        """Tells this trace from every other."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class World:
    """Simulates one run.

    Args:
        program: What is run.
        seed: The root seed.
        conditions: What the world is like.
        faults: What goes wrong, instead of what the conditions' mix says.
    """

    def __init__(self, program: Program, seed: int, conditions: Conditions, faults: Iterable[Fault] | None = None) -> None:
        self.program = program
        self.conditions = conditions
        self.clock = Clock()
        self.chance = Chance(seed, conditions.mix, faults, conditions.most)
        self.blobs = Blobs(self.clock, self.chance, self, conditions.rate)
        self.cluster = Cluster(self, conditions.nodes, conditions.cores)
        self.truth = Truth(program)
        self.report = Report()
        self.lives: list[Life] = []
        self.outcome: Outcome | None = None
        self._final: Graph | None = None
        self._epochs = Epochs()
        self._begun = self.clock.now

    def run(self) -> Report:
        """Run to the end, and see whether all is well."""
        report, conditions = self.report, self.conditions
        with _quiet():
            try:
                self.clock.later(conditions.trouble, self.chance.calm)
                self.start_leader()
                self._wait(conditions.trouble + conditions.patience)
                self.chance.calm()
                self._check_end()
                self._check_again()
            except Exception as error:  # noqa: BLE001  whatever it is, it is told with the faults that led to it
                report.broken = f"{type(error).__name__}: {error}"
                report.error = error  # type: ignore[attr-defined]
            finally:
                self.clock.close()
        report.faults, report.leaders = list(self.chance.happened), len(self.lives)
        return report

    def start_leader(self, *, take_over: bool = False) -> None:
        """Somebody starts the workflow, or starts it again."""
        if self.outcome is None:
            Life(self, len(self.lives) + 1, take_over).start()

    @property
    def newest(self) -> Graph | None:
        """The graph of the newest epoch."""
        graphs = [life.graph for life in self.lives if life.graph is not None]
        return max(graphs, key=lambda graph: graph.issuer.epoch, default=None)

    @property
    def led(self) -> LeaderTruth | None:
        """What the newest leader knows that has a graph."""
        return next((life.truth for life in reversed(self.lives) if life.truth is not None), None)

    # What workers and the store tell

    def starting(self, request: str, task: Task, plan: Plan) -> None:
        """An attempt begins; its values are what they should be."""
        self.trace(f"{request} starts {task.job} {plan.name}, attempt {task.attempt}")
        self.truth.starting(request, task, plan)
        given = {value.plan: value.digest for _, part in task.values for value in [msgspec.json.decode(part, type=Value)]}  # type: ignore[arg-type]
        for each in self.program.promised(plan.needs):
            need(given.get(each.name) == self.program.digests[each.name], f"{plan} is not given the value of {each}")

    def failures(self, request: str, plan: Plan) -> int:
        """How many attempts at the plan have begun in the request's epoch."""
        return self.truth.begun[keys.request_order(request)[0], plan]

    def succeeded(self, request: str, plan: Plan) -> None:
        """An attempt succeeded."""
        self.truth.succeeded(request, plan)

    def leads(self, request: str) -> bool:
        """Whether the request was sent by the newest leader."""
        newest = self.newest
        return newest is not None and keys.request_order(request)[0] == newest.issuer.epoch

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        """A blob is there that was not."""
        if key.startswith(keys.CHECKPOINTS) and not late:
            self._epochs.wrote(key, data)
        elif key.startswith(keys.COMMITS) and key != keys.commit(keys.ROOT, 0) and not late:
            commit, _ = commits.decode(data, key)
            self.truth.committed(commit.request, [entry.result for entry in commit.entries])

    def deleting(self, who: str, keys: list[str]) -> None:
        """These blobs are about to go."""
        newest = self.newest
        for key in keys:
            need(newest is None or key not in newest.held, f"{who} deletes {key}, which is needed")
        self._epochs.deleting(who, keys)

    def trace(self, line: str) -> None:
        """A line for the record."""
        self.report.trace.append(f"{self.clock.now - self._begun:.4f} {line}")

    # The end

    def finished(self, life: Life, outcome: Outcome) -> None:
        """A leader has brought the workflow to its end."""
        self.outcome, self._final = outcome, life.graph
        self.report.seconds = self.clock.now - self._begun
        self.clock.wake(self.clock.main)

    def _wait(self, seconds: float) -> None:
        limit = self.clock.now + seconds
        while self.outcome is None and self.clock.now < limit:
            self.clock.wait(limit - self.clock.now)
        need(self.outcome is not None, f"not done {seconds:.0f} s after the beginning")

    def _check_end(self) -> None:
        """Everything ran, each job took effect once, and the outcome is what it should be."""
        graph = self._final
        assert graph is not None and self.outcome is not None
        LeaderTruth(graph).check_held(self.blobs.data, deep=True)
        wanted = Counter(plan.shape or plan.name for plan in self.program.plans)
        found = {name: (tally.total, tally.ran) for name, tally in graph.tallies.items()}
        need(found == {name: (count, count) for name, count in wanted.items()}, f"at the end there are {found}; there should be {dict(wanted)}")
        value = msgspec.json.decode(self.outcome.value, type=Value)
        need(value.digest == self.program.digests[self.program.root.name], "the outcome is another")
        values = {each.plan: each.digest for part in self.outcome.values.values() for each in [msgspec.json.decode(part, type=Value)]}
        for plan in self.program.promised(self.program.root.promises):
            need(values.get(plan.name) == self.program.digests[plan.name], f"the outcome lacks the value of {plan}")

    def _check_again(self) -> None:
        """Starting it once more changes nothing, and nothing superfluous is left."""
        outcome, self.outcome = self.outcome, None
        self.clock.wait(400.0)  # whatever still runs ends
        for life in self.lives:
            life.die()
        count = self._attempts()
        self.start_leader(take_over=True)
        self._wait(600.0)
        need(self.outcome == outcome, "a restart after the end has another outcome")
        need(self._attempts() == count, "a restart after the end runs jobs")

    def _attempts(self) -> int:
        return sum(self.truth.begun.values())


class Life:
    """One leader's life.

    Args:
        world: The world.
        number: Which leader this is, from 1.
        take_over: Whether it is told to take over from another that may live.
    """

    def __init__(self, world: World, number: int, take_over: bool) -> None:
        self.world = world
        self.name = f"leader {number}"
        self.take_over = take_over
        self.truth: LeaderTruth | None = None
        self.over = False
        self.mark = ""
        self.graph: Graph | None = None
        self.inbox: SimulatedInbox | None = None
        self.batch = SimulatedBatch(world.cluster, world, world.conditions.backlog)
        self.actor: Actor | None = None
        world.lives.append(self)

    def start(self) -> None:
        """Begin."""
        self.actor = self.world.clock.start(self.name, self._live)

    def die(self) -> None:
        """End without a word."""
        assert self.actor is not None
        if not self.actor.killed:
            self.actor.killed = True
            self.over = True
            self.world.cluster.abandon(self.batch)

    # The door's owner

    def before(self, site: str) -> None:
        """Something is about to be done; perhaps it is the last."""
        self._check()
        self.world.report.sites.append(site)
        self._suffer(site, self.world.chance.fault(f"{site} leader", ("crash before", "freeze before")))

    def after(self, site: str) -> None:
        """It was done."""
        self._suffer(site, self.world.chance.fault(f"{site} leader then", ("crash after", "freeze after")))

    def waiting(self) -> None:
        """It is about to wait."""
        self._check()
        if self.truth is not None and self.world.newest is self.truth.graph:
            self.truth.check_held(self.world.blobs.data)
        site = self.world.chance.site(f"{self.name} waits")
        self._suffer(site, self.world.chance.fault(site, WAIT_FAULTS))

    def _check(self) -> None:
        assert self.actor is not None
        if self.actor.killed:
            raise Killed

    def _suffer(self, site: str, fault: str) -> None:
        world = self.world
        if not fault:
            return
        world.trace(f"{site}: {fault}")
        if fault.startswith("crash"):
            self.die()
            world.clock.later(world.chance.between(f"restart {site}", 0.1, 60.0), world.start_leader)
            raise Killed
        if fault.startswith("freeze"):
            for_seconds = world.chance.between(f"freeze {site}", 1.0, 300.0)
            world.clock.later(world.chance.between(f"rival {site}", 0.0, 200.0), lambda: world.start_leader(take_over=True))
            until = world.clock.now + for_seconds
            while world.clock.now < until:
                world.clock.wait(until - world.clock.now)
        elif fault == "rival":
            world.clock.later(0.0, lambda: world.start_leader(take_over=True))
        elif self.inbox is not None:
            self.inbox.stop()

    # Its life

    def _live(self) -> None:
        world = self.world
        options = EngineOptions(
            take_over=self.take_over, retry_count=1000, retry_backoff_seconds=1.0, retry_backoff_factor=1.0, max_node_losses=1000,
            disable_chaining=not world.conditions.chain, out_of_memory_factor=1.0,
        )  # fmt: skip
        config, around = Config([options]), self._around()
        door = world.blobs.door(self)
        restart = keys.commit(keys.ROOT, 0) in world.blobs.data or keys.leader(1) in world.blobs.data
        again: float | None = 5.0
        try:
            patient = around.patient(door, threading.Event())
            if not restart:
                begin(patient, "the store", world.program.initial(world.chance.bytes(self.name, 8)), config, around=around)
            else:
                number = len([key for key in world.blobs.data if key.startswith(keys.LEADERS)]) + 1
                check_fixpoint(world.blobs.data, number)
            outcome = lead(
                door, "the store", Setup(), config, restart=restart, listeners=[self._hear], batch_system=self.batch, around=around
            )
            world.trace(f"{self.name} is done")
            world.finished(self, outcome)
            again = None
        except LeaderReplaced:
            world.trace(f"{self.name} was replaced")
            again = None
        except LeaderRunning:
            world.trace(f"{self.name} found another")
            again = None if self.take_over else 5.0
        except (JobStoreExists, Transient, Interrupted) as error:
            world.trace(f"{self.name}: {type(error).__name__}")
        self.over = True
        self.batch.close()
        if again is not None or not any(not life.over for life in world.lives):
            world.clock.later(again or 5.0, self._next)

    def _next(self) -> None:
        """Whoever watches over the workflow starts it again when nobody leads it."""
        if all(life.over for life in self.world.lives):
            self.world.start_leader()

    def _around(self) -> Surroundings:
        world = self.world
        return Surroundings(
            now=lambda: world.clock.now,
            random_bytes=lambda count: world.chance.bytes(world.chance.site(f"{self.name} bytes"), count),
            inbox=lambda: SimulatedInbox(self),
            graph=self._make_graph,
            patient=self._patient,
            this_leader=self._describe,
            alive=self._alive,
            readers=1,
        )

    def _make_graph(self, *arguments: Any, **named: Any) -> Graph:
        self.graph = Graph(*arguments, **named)
        return self.graph

    def _patient(self, store: JobStore, give_up: threading.Event) -> JobStore:
        clock, chance = self.world.clock, self.world.chance

        def wait(seconds: float) -> bool:
            until = clock.now + seconds
            while clock.now < until:
                clock.wait(until - clock.now)
            return give_up.is_set()

        return PatientStore(store, clock=lambda: clock.now, wait=wait, jitter=lambda: 0.5 + chance.draw(chance.site(f"{self.name} jitter")) / 2)

    def _describe(self, epoch: int) -> LeaderInfo:
        self.mark = self.name
        return LeaderInfo(epoch, "simulated", "", 0, 0, self.world.clock.now, "", self.name)

    def _alive(self, info: LeaderInfo) -> bool | None:
        """A leader is known to be gone when it ended on a machine that can be asked; else nothing is known."""
        return False if any(life.over and life.name == info.mark for life in self.world.lives) else None

    def _hear(self, event: Event) -> None:
        match event:
            case RunStarted():
                assert self.graph is not None
                truth = LeaderTruth(self.graph)
                former = self.world.led
                if former is None or former.epoch < truth.epoch:
                    truth.began(former)
                    self.truth = truth
            case JobDone() if self.truth is not None and event.job not in self.graph_services:
                self.world.trace(f"{self.name}: {event.job} is done")
                self.truth.ran(event.job)
            case JobsDropped() if self.truth is not None:
                self.world.trace(f"{self.name}: {event.job} runs again")
                self.truth.dropped(event.job)
            case _:
                pass

    @property
    def graph_services(self) -> set[str]:
        """Jobs that are services, which may be up more than once."""
        return {id for id, plan in self.world.truth.plans.items() if plan.service}


class SimulatedInbox(Inbox):
    """What a leader waits on, in simulated time.

    Args:
        life: Whose it is.
    """

    def __init__(self, life: Life) -> None:
        self._life = life
        self._updates: list[Update] = []
        self._stops = 0
        life.inbox = self

    def listen(self, batch: BatchSystem) -> None:
        assert batch is self._life.batch
        self._life.batch.inbox = self._put

    def stop(self) -> None:
        self._stops += 1
        self._wake()

    def get(self, seconds: float | None) -> list[Update] | None:
        clock = self._life.world.clock
        until = None if seconds is None else clock.now + seconds
        self._life.waiting()
        while not self._updates and not self._stops and (until is None or clock.now < until):
            clock.wait(None if until is None else until - clock.now)
        if self._stops:
            self._stops -= 1
            return None
        found, self._updates = self._updates, []
        return found

    def _put(self, update: Update) -> None:
        self._updates.append(update)
        self._wake()

    def _wake(self) -> None:
        assert self._life.actor is not None
        self._life.world.clock.wake(self._life.actor)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leaders say nothing to the user meanwhile."""
    log = logging.getLogger("toil")
    former, log.disabled = log.level, False
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(former)
