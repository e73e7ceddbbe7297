"""One leader's life in a simulated world: the real leader, with simulated time, chance, store and batch system around it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from toil_core.batch_system import BatchSystem, Update
from toil_core.errors import Interrupted, JobStoreExists, LeaderReplaced, LeaderRunning, StoreFull, Transient
from toil_core.events import Event, JobDone, JobsDropped, RunStarted
from toil_core.job_store import JobStore
from toil_core.leader.graph import Graph
from toil_core.leader.options import EngineOptions
from toil_core.leader.run import begin, lead
from toil_core.leader.surroundings import Inbox, Surroundings
from toil_core.options import Config
from toil_core.testing.sim.broken import Broken
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.clock import Actor, Killed
from toil_core.testing.sim.cluster import SimulatedBatch
from toil_core.testing.sim.conditions import CLOCKS, WAIT_FAULTS
from toil_core.testing.sim.invariants import LeaderTruth, check_fixpoint
from toil_core.wire import keys
from toil_core.wire.patient import PatientStore
from toil_core.wire.run import LeaderInfo
from toil_core.wire.work import Setup

if TYPE_CHECKING:
    from toil_core.testing.sim.world import World

SKEW = 3600.0
"""So many seconds a clock may be wrong by."""


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
        self.skew = 0.0
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
        self._could_crash(f"{site} leader", "crash before")
        self._suffer(site, self.world.chance.fault(f"{site} leader", ("crash before", "freeze before")))

    def after(self, site: str) -> None:
        """It was done."""
        self._could_crash(f"{site} leader then", "crash after")
        self._suffer(site, self.world.chance.fault(f"{site} leader then", ("crash after", "freeze after")))
        if site.startswith(f"{self.name} list {keys.COMMITS} ") and self.graph is not None:
            self.world.listing(self.graph.issuer.epoch)

    def slow(self, site: str) -> None:
        """It takes long."""
        self._sleep(self.world.chance.between(f"slow {site}", 0.1, 120.0))

    def waiting(self) -> None:
        """It is about to wait."""
        self._check()
        if self.truth is not None and self.world.newest is self.truth.graph:
            self.truth.check_held(self.world.blobs.data)
        site = self.world.chance.site(f"{self.name} waits")
        self._could_crash(site, "crash waiting")
        self._suffer(site, self.world.chance.fault(site, WAIT_FAULTS))

    def _could_crash(self, site: str, kind: str) -> None:
        if not self.world.checking:
            self.world.report.crashes.append(Fault(site, kind))

    def _sleep(self, seconds: float) -> None:
        clock = self.world.clock
        until = clock.now + seconds
        while clock.now < until:
            clock.wait(until - clock.now)

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
            self._sleep(for_seconds)
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
        fault = world.chance.fault(f"{self.name} looks at its clock", CLOCKS)
        self.skew = (fault == "clock ahead") * SKEW - (fault == "clock behind") * SKEW
        try:
            patient = around.patient(door, threading.Event())
            if not restart:
                begin(patient, "the store", world.program.initial(world.chance.bytes(self.name, 8)), config, around=around)
            else:
                number = len([key for key in world.blobs.data if key.startswith(keys.LEADERS)]) + 1
                if world.chance.draw(f"{self.name} is checked") < world.conditions.thorough:
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
        except (JobStoreExists, Transient, StoreFull, Interrupted) as error:
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
            now=lambda: world.clock.now + self.skew,
            random_bytes=lambda count: world.chance.bytes(world.chance.site(f"{self.name} bytes"), count),
            inbox=lambda: SimulatedInbox(self),
            graph=self._make_graph,
            patient=self._patient,
            this_leader=self._describe,
            alive=self._alive,
            readers=1,
            fold_after=world.conditions.fold_after,
        )

    def _make_graph(self, *arguments: Any, **named: Any) -> Graph:
        self.graph = Graph(*arguments, **named)
        return self.graph

    def _patient(self, store: JobStore, give_up: threading.Event) -> JobStore:
        clock, chance = self.world.clock, self.world.chance

        def wait(seconds: float) -> bool:
            self._sleep(seconds)
            return give_up.is_set()

        return PatientStore(store, clock=lambda: clock.now, wait=wait, jitter=lambda: 0.5 + chance.draw(chance.site(f"{self.name} jitter")) / 2)

    def _describe(self, epoch: int) -> LeaderInfo:
        return LeaderInfo(epoch, "simulated", "", 0, 0, self.world.clock.now + self.skew, "", self.name)

    def _alive(self, info: LeaderInfo) -> bool | None:
        """A leader is known to be gone when it ended on a machine that can be asked; else nothing is known."""
        return False if any(life.over and life.name == info.mark for life in self.world.lives) else None

    def _hear(self, event: Event) -> None:
        try:
            self._judge(event)
        except Broken as error:  # a leader goes on when a listener fails; the world must not
            self.world.clock.fail(error)
            raise

    def _judge(self, event: Event) -> None:
        match event:
            case RunStarted():
                assert self.graph is not None
                truth = LeaderTruth(self.graph)
                if truth.epoch < self.world.listed:
                    truth.succeeded()
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
