"""The graph as a state machine: any event at any time, in workflows that grow as they run."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from tests.leader.model import Model
from tests.leader.test_graph_random import PATIENT, check_end, check_restore, first_of_its_own, grown, workflows
from tests.leader.world import Plan, World, below
from toil_core.batch_system import Reason
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Issuer, Sizing
from toil_core.leader.moves import Committed, RequestEnded, StopAsked, TimePassed
from toil_core.leader.state import JobState
from toil_core.testing.sim.broken import Broken
from toil_core.testing.sim.invariants import LeaderTruth
from toil_core.wire.jobs import Failure

SEQUENCES = 50
"""How many are tried."""
MOST = 25
"""Plans of one workflow that grows."""
REASONS = [reason for reason in Reason if reason is not Reason.TOO_BIG]


class GraphMachine(RuleBasedStateMachine):
    """A workflow, its leader and what may happen to them; in the end nothing more goes wrong, and all must have run."""

    world: World

    @initialize(root=workflows(), slots=st.integers(1, 4), backlog=st.integers(1, 7), chain=st.booleans(), carried=st.booleans())
    def begin(self, root: Plan, slots: int, backlog: int, chain: bool, carried: bool) -> None:
        self.root = root
        self.names = [0] * len(below([root]))
        self.world = World(root, policy=PATIENT, sizing=Sizing(slots=slots, backlog=backlog), chain=chain, carried=carried)

    def jobs(self) -> list[str]:
        """Open requests of jobs that are no services."""
        return [id for id in self.world.open if not self.world.is_service(id)]

    def services(self) -> list[str]:
        return [id for id in self.world.open if self.world.is_service(id)]

    def outcomes(self, data: st.DataObject, plans: list[Plan]) -> Callable[[Plan], Failure | None]:
        """Some fail; some of those that succeed add more than was known."""
        fails: dict[Plan, Failure] = {}
        for plan in plans:
            reason = data.draw(st.none() | st.none() | st.sampled_from(REASONS), label=f"{plan} ends")
            if reason is not None:
                fails[plan] = Failure(reason, "drawn")
            else:
                self.grow(data, plan)
        return fails.get

    def grow(self, data: st.DataObject, plan: Plan) -> None:
        """What the plan adds, when that was not known before."""
        if len(self.names) < MOST and not self.world.runs.get(plan) and not plan.adds_children and not plan.adds_follow_ons:
            data.draw(grown(plan, self.names), label=f"{plan} adds")

    def plans(self, request: str) -> list[Plan]:
        return [self.world.nodes[task.job].plan for task in self.world.open[request]]

    @precondition(lambda self: self.jobs())
    @rule(data=st.data(), told=st.sampled_from([True, True, True, False]))
    def commit(self, data: st.DataObject, told: bool) -> None:
        """Some or all of a request's jobs end; or they do, and the leader dies before it hears of it."""
        request = data.draw(st.sampled_from(self.jobs()))
        plans = self.plans(request)
        tasks = data.draw(st.integers(0, len(plans)))
        self.world.commit(request, tasks=tasks, fails=self.outcomes(data, plans[:tasks]), applied=told)
        if not told:
            self.world.crash()

    @precondition(lambda self: self.jobs())
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        """All of a request's jobs succeed, and may add more than was known."""
        request = data.draw(st.sampled_from(self.jobs()))
        for plan in self.plans(request):
            self.grow(data, plan)
        self.world.commit(request)

    @precondition(lambda self: any(len(self.world.open[id]) == 1 for id in self.jobs()))
    @rule(data=st.data(), together=st.booleans())
    def go_on(self, data: st.DataObject, together: bool) -> None:
        """A job succeeds, and one that it added goes on in its request."""
        request = data.draw(st.sampled_from([id for id in self.jobs() if len(self.world.open[id]) == 1]))
        (plan,) = self.plans(request)
        after = first_of_its_own(plan)
        self.world.commit(request, together=after if together else None, chained=None if together else after)

    @precondition(lambda self: self.jobs())
    @rule(data=st.data(), reason=st.sampled_from(REASONS))
    def lose(self, data: st.DataObject, reason: Reason) -> None:
        """A request ends without another commit."""
        self.world.lose(data.draw(st.sampled_from(self.jobs())), reason)

    @precondition(lambda self: self.services())
    @rule(data=st.data(), reason=st.none() | st.sampled_from(REASONS), lost=st.booleans())
    def serve(self, data: st.DataObject, reason: Reason | None, lost: bool) -> None:
        """A service comes up, fails, is lost, or ends when it was asked to."""
        world, request = self.world, data.draw(st.sampled_from(self.services()))
        if reason is not None and lost:
            world.lose(request, reason)
        elif reason is not None:
            world.end_service(request, Failure(reason, "drawn"))
        elif request in world.asked:
            world.end_service(request)
        elif not world.is_up(request):
            world.serve(request)

    @precondition(lambda self: self.world.events)
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        """News that is old changes nothing."""
        event = data.draw(st.sampled_from(self.world.events))
        before = len(self.world.log), len(self.world.requests)
        self.world.apply(event)
        if event.commit.request not in self.world.graph.requests:
            self.world.apply(RequestEnded(event.commit.request, Reason.NODE_LOST, "", self.world.now))
        assert (len(self.world.log), len(self.world.requests)) == before

    @precondition(lambda self: self.world.wake > self.world.now)
    @rule(early=st.booleans())
    def time_passes(self, early: bool) -> None:
        """The time comes that the graph asked for, or one before it."""
        self.world.now += (self.world.wake - self.world.now) / (2 if early else 1)
        self.world.apply(TimePassed(self.world.now))

    @rule(what=st.sampled_from(["fold", "fold", "die", "stop"]))
    def lead(self, what: str) -> None:
        """The leader writes a checkpoint; or it dies, or is stopped by the user, and a new one takes over."""
        if what == "fold":
            self.world.checkpoint()
            return
        if what == "stop":
            self.stop()
        self.world.crash()

    def stop(self) -> None:
        """What runs ends."""
        self.world.apply(StopAsked())
        submitted = len(self.world.requests)
        if self.world.finish is None:
            self.world.run()
        assert len(self.world.requests) == submitted, "nothing is issued once the run is to stop"

    @invariant()
    def all_is_held(self) -> None:
        """A checkpoint keeps everything, and everything that is referred to is there."""
        if hasattr(self, "world"):
            check_restore(self.world)
            LeaderTruth(self.world.graph).check_held(self.world.blobs, deep=True)

    @invariant()
    def no_job_is_lost(self) -> None:
        """Each job that is known has run for good, or is still in the graph; each ran after its predecessors."""
        if hasattr(self, "world"):
            model, ran = Model(self.root), set(self.world.log)
            assert all(model.before[plan] <= ran for plan in ran)
            waiting = {self.world.nodes[id].plan for id in self.world.graph.jobs}
            assert model.known(ran) - ran <= waiting

    def teardown(self) -> None:
        """With nothing going wrong any more, all that can run does, once."""
        if hasattr(self, "world") and sys.exc_info()[0] is None:
            self.world.run()
            check_end(self.world, Model(self.root))


def search(*phases: Phase) -> None:
    health = list(HealthCheck)
    chosen = settings(
        max_examples=SEQUENCES, stateful_step_count=30, deadline=None, derandomize=True, database=None, suppress_health_check=health, phases=phases,
        report_multiple_bugs=False,  # a group of them would be raised
    )  # fmt: skip
    run_state_machine_as_test(GraphMachine, settings=chosen)


def test_any_event_at_any_time() -> None:
    search(Phase.generate, Phase.shrink)


def starts_early(graph: Graph, job: JobState, release: Callable[[Graph, JobState], None] = Graph._release) -> None:
    job.pending = 1
    release(graph, job)


def loses_what_waits(graph: Graph, job: JobState, delay: float, now: float, again: Callable[..., None] = Graph._try_again) -> None:
    if not delay:
        again(graph, job, delay, now)


def takes_over_nothing(graph: Graph, epoch: int) -> None:
    graph.finished = graph.stopping = False
    graph.issuer = Issuer(epoch, graph.issuer.sizing)


def counts_again(graph: Graph, event: Committed, committed: Callable[[Graph, Committed], None] = Graph._committed) -> None:
    if (request := graph.requests.get(event.commit.request)) is not None:
        request.next = event.commit.number
    committed(graph, event)


def issues_although_it_stops(graph: Graph, issue: Callable[[Graph], None] = Graph._issue) -> None:
    stopping, graph.stopping = graph.stopping, False
    issue(graph)
    graph.stopping = stopping


WRONG: dict[str, Callable[..., None]] = {
    "_release": starts_early,
    "_try_again": loses_what_waits,
    "take_over": takes_over_nothing,
    "_committed": counts_again,
    "_issue": issues_although_it_stops,
}
"""What the graph does wrong, by the method that does it."""


@pytest.mark.parametrize(("name", "wrong"), WRONG.items())
def test_a_graph_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., None]) -> None:
    monkeypatch.setattr(Graph, name, wrong)
    monkeypatch.setattr(f"{__name__}.check_restore", lambda world: None)  # the rules have to find it
    with pytest.raises((AssertionError, LookupError, Broken)):
        search(Phase.generate)
