"""The graph against the model: random workflows, orders, failures, repetitions and deaths of the leader."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.leader.model import Model
from tests.leader.world import Plan, World, below, state_of
from toil_core.batch_system import Reason, Requirement
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import RequestEnded
from toil_core.leader.retries import Policy
from toil_core.wire import keys
from toil_core.wire.jobs import Failure

_many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
PATIENT = Policy(tries=1000, losses=1000, backoff=1.0, backoff_factor=1.0)


@st.composite
def groups(draw: st.DrawFn, depth: int, names: list[int]) -> list[Plan]:
    """Plans that one body makes known together: edges and promises go from earlier to later ones."""
    plans: list[Plan] = []
    for _ in range(draw(st.integers(1, 5 if depth else 3))):
        plan = Plan(f"p{len(names)}", size=draw(st.sampled_from([0, 0, 1100])))
        plan.requirement = Requirement(memory=draw(st.sampled_from([0, 0, 1])))
        names.append(0)
        if depth and draw(st.booleans()):
            _adds(draw, plan, draw(groups(depth - 1, names)))
        for former in plans:
            edge = draw(st.sampled_from(["", "", "child", "follow-on"]))
            if edge:
                (former.children if edge == "child" else former.follow_ons).append(plan)
        if plans:
            plan.needs = draw(st.lists(st.sampled_from(plans), max_size=2))
        plans.append(plan)
    _checks(draw, plans)
    return plans


def _adds(draw: st.DrawFn, plan: Plan, new: list[Plan]) -> None:
    """The plan's body adds the new ones that nothing else leads to, and its value promises some of them."""
    led = {after for former in new for after in (*former.children, *former.follow_ons)}
    for top in new:
        if top not in led or draw(st.integers(0, 5)) == 0:
            (plan.adds_children if draw(st.booleans()) else plan.adds_follow_ons).append(top)
    plan.promises = draw(st.lists(st.sampled_from(new), max_size=2))
    if draw(st.integers(0, 2)) == 0:
        _serves(draw, plan, new)


def _serves(draw: st.DrawFn, plan: Plan, new: list[Plan]) -> None:
    """The plan's body adds services too, one after another or side by side, and some of the new ones are given what they give."""
    former: list[Plan] = []
    for number in range(draw(st.integers(1, 3))):
        service = Plan(f"{plan.name}s{number}", service=True, size=draw(st.sampled_from([0, 1100])))
        if len(former) > 0 and draw(st.booleans()):
            parent = draw(st.sampled_from(former))
            parent.services.append(service)
            service.needs = draw(st.sampled_from([[parent], []]))
        else:
            plan.adds_services.append(service)
        former.append(service)
    for user in new:
        if draw(st.booleans()):
            user.needs = [*user.needs, draw(st.sampled_from(former))]


def _checks(draw: st.DrawFn, plans: list[Plan]) -> None:
    """Some that have no successors are checkpoint jobs; what is below them gives up soon."""
    for plan in plans:
        if not plan.children and not plan.follow_ons and draw(st.integers(0, 2)) == 0:
            plan.checkpoint = True
            for inner in below([plan]):
                if inner is not plan:
                    inner.tries = draw(st.sampled_from([1, 2, 3]))


@st.composite
def workflows(draw: st.DrawFn) -> Plan:
    names: list[int] = [0]
    root = Plan("p0")
    _adds(draw, root, draw(groups(2, names)))
    if draw(st.booleans()):
        static = draw(groups(1, names))
        led = {after for former in static for after in (*former.children, *former.follow_ons)}
        for top in static:
            if top not in led:
                (root.children if draw(st.booleans()) else root.follow_ons).append(top)
    return root


@st.composite
def grown(draw: st.DrawFn, plan: Plan, names: list[int]) -> str:
    """The plan adds new ones, perhaps; their names, to be read in a report."""
    if draw(st.booleans()):
        _adds(draw, plan, draw(groups(0, names)))
    return f"{plan.adds_children} and then {plan.adds_follow_ons}"


def worlds(root: Plan, seed: int, **more: object) -> World:
    return World(root, seed=seed, policy=PATIENT, sizing=Sizing(slots=2, backlog=seed % 7 + 1), carried=seed % 3 > 0, **more)  # type: ignore[arg-type]


def check_end(world: World, model: Model) -> None:
    """The run ended as the model says: all ran, or those that cannot are named."""
    ran = model.can_run()
    model.check(world.log, ran)
    assert world.finish is not None
    if len(ran) == len(model.plans):
        assert world.finish.outcome == "succeeded" and not world.finish.stuck
        assert set(world.graph.jobs) == kept(world, model)
        assert not world.graph.services.members and not world.graph.redo.scopes and not world.graph.redo.scope_of
        world.collect()
        assert set(world.blobs) == set(world.graph.held), "every commit is garbage in the end, but for the root's value"
    else:
        assert world.finish.outcome == "failed"
        assert {world.nodes[id].plan for id in world.finish.stuck} == model.known(ran) - ran


def kept(world: World, model: Model) -> set[str]:
    """At the end nothing is remembered but the root's value and what it promises."""
    promised = model.promised([model.root])
    return {id for id in world.done if world.nodes[id].plan in promised}


@_many
@given(workflows(), st.integers(0, 1 << 20))
def test_any_order_of_completion_holds_the_rules(root: Plan, seed: int) -> None:
    world, model = worlds(root, seed), Model(root)
    world.run()
    check_end(world, model)
    assert all(count == 1 for count in world.runs.values())


def step(world: World, fails: Callable[[Plan], Failure | None]) -> None:
    """Something happens: a commit of all or a part, a chain, a loss, or time passing."""
    eager = world.busy
    if not eager:
        world.pass_time()
        return
    request = world.random.choice(eager if world.random.random() < 0.9 else list(world.open))
    chance, tasks = world.random.random(), world.open[request]
    if world.is_service(request):
        serve(world, request, chance, fails)
    elif request in world.asked and chance < 0.5:
        world.end(request, Reason.CANCELLED)
    elif chance < 0.1:
        world.lose(request)
    elif chance < 0.2:
        world.end(request, Reason.CANCELLED)
    elif chance < 0.4:
        world.commit(request, tasks=world.random.randint(0, len(tasks)), fails=fails)
    elif chance < 0.6 and len(tasks) == 1:
        plan = world.nodes[tasks[0].job].plan
        next_plan = first_of_its_own(plan)
        if next_plan is None or fails(plan):
            world.commit(request)
        elif chance < 0.5:
            world.commit(request, chained=next_plan)
        else:
            world.commit(request, together=next_plan)
    else:
        world.commit(request, fails=fails)


def serve(world: World, request: str, chance: float, fails: Callable[[Plan], Failure | None]) -> None:
    """Something happens to a service: it comes up, ends, fails or is lost."""
    failure = fails(world.nodes[world.open[request][0].job].plan)
    if chance < 0.1:
        world.lose(request, Reason.PREEMPTED)
    elif failure is not None:
        world.end_service(request, failure)
    elif not world.is_up(request) and (request not in world.asked or chance < 0.3):
        world.serve(request)
    elif request in world.asked:
        world.end_service(request)


def first_of_its_own(plan: Plan) -> Plan | None:
    """A job that the plan adds and that waits for nothing but the plan."""
    new = below([*plan.adds_children, *plan.adds_follow_ons], dynamic=False)
    tops = plan.adds_children or ([] if plan.children else plan.adds_follow_ons)
    for top in tops:
        led = sum(top in (*other.children, *other.follow_ons) for other in new)
        if not led and not top.needs and not plan.adds_services and not top.adds_services and [*plan.adds_children, *plan.adds_follow_ons].count(top) == 1:
            return top
    return None


def whims(world: World) -> Callable[[Plan], Failure | None]:
    reasons = [Reason.FAILED, Reason.OUT_OF_MEMORY, Reason.OVER_TIME, Reason.PREEMPTED, Reason.KILLED]
    return lambda plan: Failure(world.random.choice(reasons), "whim") if world.random.random() < 0.2 else None


@_many
@given(workflows(), st.integers(0, 1 << 20))
def test_failures_losses_and_repetitions_change_nothing(root: Plan, seed: int) -> None:
    world, model = worlds(root, seed, chain=True), Model(root)
    fails = whims(world)
    while world.finish is None:
        step(world, fails)
        if world.events and world.random.random() < 0.5:  # a commit that is told again, perhaps long after
            before = state_of(world.graph), list(world.graph.garbage)
            event = world.random.choice(world.events)
            world.apply(event)
            if event.commit.request not in world.graph.requests:
                world.apply(RequestEnded(event.commit.request, Reason.NODE_LOST, "", world.now))
            assert (state_of(world.graph), world.graph.garbage) == before
    check_end(world, model)


@_many
@given(workflows(), st.integers(0, 1 << 20), st.data())
def test_what_fails_for_good_stops_only_what_needs_it(root: Plan, seed: int, data: st.DataObject) -> None:
    model = Model(root)
    failing = set(data.draw(st.lists(st.sampled_from(model.plans), min_size=1, max_size=3)))
    world = World(root, seed=seed, policy=Policy(tries=1), sizing=Sizing(slots=2, backlog=seed % 7 + 1))
    world.run(lambda plan: Failure(Reason.FAILED, "broken") if plan in failing else None)
    ran = model.can_run(failing)
    model.check(world.log, ran)
    failed = {plan for plan in failing if plan in model.known(ran) and model.before[plan] <= ran}
    assert {world.nodes[id].plan for id in world.graph.failed} == failed
    assert world.finish is not None
    assert world.finish.outcome == ("succeeded" if len(ran) == len(model.plans) else "failed")


def check_restore(world: World) -> None:
    """A checkpoint keeps everything, and reading it back and writing it again changes nothing."""
    if any(service.leaving and not service.again for service in world.graph.services.members.values()):
        return  # they are known only until they have stopped
    data = snapshot.encode(world.graph)
    saved = snapshot.decode(data, "checkpoint")
    copy = Graph(saved.epoch, world.policy, world.sizing)
    snapshot.restore(copy, saved)
    copy.issuer.sequence = saved.sequence
    assert state_of(copy) == state_of(world.graph)
    again = snapshot.decode(snapshot.encode(copy), "checkpoint")
    twice = Graph(saved.epoch, world.policy, world.sizing)
    snapshot.restore(twice, again)
    twice.issuer.sequence = saved.sequence
    assert snapshot.encode(twice) == snapshot.encode(copy)


@_many
@given(workflows(), st.integers(0, 1 << 20))
def test_a_new_leader_goes_on_where_the_old_one_died(root: Plan, seed: int) -> None:
    world, model = worlds(root, seed, chain=True), Model(root)
    fails = whims(world)
    deaths = 0
    while world.finish is None:
        step(world, fails)
        check_restore(world)
        if world.random.random() < 0.15:
            world.checkpoint()
        if deaths < 5 and world.random.random() < 0.15:
            for request in list(world.open):  # some workers commit after the leader's last breath
                if world.random.random() < 0.5:
                    if not world.is_service(request):
                        world.commit(request, fails=fails, applied=False)
                    elif world.is_up(request):
                        world.end_service(request, applied=False)
                    else:
                        world.serve(request, applied=False)
            world.crash()
            deaths += 1
    check_end(world, model)


@_many
@given(workflows(), st.integers(0, 1 << 20))
def test_commits_that_cannot_be_read_run_again(root: Plan, seed: int) -> None:
    world, model = worlds(root, seed), Model(root)
    deaths = 0
    while world.finish is None:
        step(world, lambda plan: None)
        if deaths < 3 and world.random.random() < 0.2:
            readable = [key for key in world.blobs if keys.commit_parts(key)[0] != keys.ROOT]
            world.crash([key for key in readable if world.random.random() < 0.4 and key not in held_at_checkpoint(world)])
            deaths += 1
    check_end(world, model)


def held_at_checkpoint(world: World) -> set[str]:
    saved = snapshot.decode(world.saved, "checkpoint")
    copy = Graph(saved.epoch, world.policy, world.sizing)
    snapshot.restore(copy, saved)
    return set(copy.held)
