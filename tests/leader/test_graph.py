"""The graph's rules, one small case each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.leader.world import INITIAL, Plan, World, state_of
from toil_core.batch_system import Reason, Requirement
from toil_core.leader import graph as graphs
from toil_core.leader import growth, history, snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import RequestEnded, StopAsked, TimePassed, Wake
from toil_core.leader.retries import Policy
from toil_core.wire import keys
from toil_core.wire.jobs import Failure, Kind, Ref


def names(plans: Sequence[Plan]) -> list[str]:
    return [plan.name for plan in plans]


def running(world: World) -> set[str]:
    """The names of the jobs in open requests."""
    return {world.nodes[task.job].plan.name for tasks in world.open.values() for task in tasks}


def request_of(world: World, name: str) -> str:
    return next(request for request, tasks in world.open.items() if any(world.nodes[task.job].plan.name == name for task in tasks))


def finish(world: World, *names: str) -> None:
    """Let these jobs' requests commit, one after another."""
    for name in names:
        world.commit(request_of(world, name))


def failing(*wanted: str, reason: Reason = Reason.FAILED, retry: bool = True) -> Callable[[Plan], Failure | None]:
    return lambda plan: Failure(reason, f"{plan.name} broke", retry=retry) if plan.name in wanted else None


# Order


def test_children_run_at_once_and_follow_ons_after_all_below_them() -> None:
    grandchild = Plan("grandchild")
    world = World(Plan("root", children=[Plan("a", children=[grandchild]), Plan("b")], follow_ons=[Plan("after")]))
    assert running(world) == {"root"}
    finish(world, "root")
    assert running(world) == {"a", "b"}
    finish(world, "a", "b")
    assert running(world) == {"grandchild"}
    finish(world, "grandchild")
    assert running(world) == {"after"}
    finish(world, "after")
    assert world.finish is not None and world.finish.outcome == "succeeded"


def test_a_child_s_follow_on_belongs_to_what_a_parent_s_follow_on_waits_for() -> None:
    world = World(Plan("root", children=[Plan("child", follow_ons=[Plan("its")])], follow_ons=[Plan("after")]))
    finish(world, "root", "child")
    assert running(world) == {"its"}
    finish(world, "its")
    assert running(world) == {"after"}


def test_a_follow_on_without_children_runs_next() -> None:
    world = World(Plan("root", follow_ons=[Plan("one", follow_ons=[Plan("two")])]))
    finish(world, "root", "one", "two")
    assert names(world.log) == ["root", "one", "two"]


def test_a_job_waits_for_all_its_predecessors() -> None:
    shared = Plan("shared")
    world = World(Plan("root", children=[Plan("a", children=[shared]), Plan("b", follow_ons=[shared])]))
    finish(world, "root", "a")
    assert running(world) == {"b"}
    finish(world, "b")
    assert running(world) == {"shared"}
    finish(world, "shared")
    assert world.finish is not None and world.finish.outcome == "succeeded"


def test_a_small_body_or_value_is_kept_also_where_it_lies_behind_a_large_one() -> None:
    leaf = Plan("leaf", adds_children=[Plan("large", size=growth.INLINE), Plan("small")])
    world = World(Plan("root", children=[leaf, Plan("user", needs=[leaf])]), carried=True)
    finish(world, "root", "leaf")
    jobs = {job.kind.name: job for job in world.graph.jobs.values()}
    assert isinstance(jobs["large"].body, Ref)
    assert jobs["small"].body == world.nodes[jobs["small"].id].body
    assert jobs["leaf"].value == world.nodes[jobs["leaf"].id].value
    assert world.run().outcome == "succeeded"


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_bodies_and_values_are_kept_up_to_so_many_bytes(more: int, kept: bool) -> None:
    leaf, added = Plan("leaf"), Plan("added")
    leaf.adds_children.append(added)
    world = World(Plan("root", children=[leaf, Plan("user", needs=[leaf])]), carried=True)
    finish(world, "root")
    request = request_of(world, "leaf")
    job = world.open[request][0].job
    leaf.size = growth.INLINE + more - len(f"value of {job} ")
    added.size = growth.INLINE + more - len(f"body of {request}.0.0 ")
    finish(world, "leaf")
    (new,) = [each for each in world.graph.jobs.values() if each.kind.name == "added"]
    assert len(world.nodes[new.id].body) == len(world.nodes[job].value) == growth.INLINE + more
    assert isinstance(world.graph.jobs[job].value, bytes) is isinstance(new.body, bytes) is kept


def test_what_a_body_adds_is_below_it() -> None:
    adder = Plan("adder", adds_children=[Plan("new", children=[Plan("newer")])], adds_follow_ons=[Plan("last")])
    world = World(Plan("root", children=[adder], follow_ons=[Plan("after")]))
    finish(world, "root", "adder", "new")
    assert running(world) == {"newer"}
    finish(world, "newer")
    assert running(world) == {"last"}
    finish(world, "last")
    assert running(world) == {"after"}


def test_added_children_hold_up_follow_ons_that_were_there_before() -> None:
    world = World(Plan("root", follow_ons=[Plan("after")], adds_children=[Plan("new")]))
    finish(world, "root")
    assert running(world) == {"new"}


# Promises


def test_an_argument_s_promise_is_waited_for() -> None:
    producer = Plan("producer")
    world = World(Plan("root", children=[producer, Plan("consumer", needs=[producer])]))
    finish(world, "root")
    assert running(world) == {"producer"}
    finish(world, "producer")
    assert running(world) == {"consumer"}
    values = world.open[request_of(world, "consumer")][0].values
    assert [world.nodes[id].plan.name for id, _ in values] == ["producer"]


def test_a_value_that_promises_is_waited_for_to_its_end() -> None:
    inner = Plan("inner")
    middle = Plan("middle", adds_children=[inner], promises=[inner])
    outer = Plan("outer", adds_children=[middle], promises=[middle])
    world = World(Plan("root", children=[outer, Plan("consumer", needs=[outer])]))
    finish(world, "root", "outer", "middle")
    assert running(world) == {"inner"}
    finish(world, "inner")
    values = world.open[request_of(world, "consumer")][0].values
    assert {world.nodes[id].plan.name for id, _ in values} == {"outer", "middle", "inner"}


def test_the_outcome_has_the_root_s_value_and_all_that_it_promises() -> None:
    inner = Plan("inner")
    middle = Plan("middle", adds_children=[inner], promises=[inner])
    world = World(Plan("root", adds_children=[middle, Plan("other")], promises=[middle]))
    world.run()
    value, values = world.graph.outcome()
    (root,) = [node for node in world.nodes.values() if node.plan.name == "root"]
    assert value == root.value
    assert {world.nodes[id].plan.name: held for id, held in values} == {
        node.plan.name: node.value for node in world.nodes.values() if node.plan.name in ("inner", "middle")
    }


def test_values_that_never_come_are_explained() -> None:
    first, second = Plan("first"), Plan("second")
    first.follow_ons, first.needs = [second], [second]
    world = World(Plan("root", children=[first, Plan("fine")]))
    finish(world, "root", "fine")
    assert world.finish is not None and world.finish.outcome == "failed"
    assert {world.nodes[id].plan.name for id in world.finish.stuck} == {"first", "second"}


def test_a_failure_is_no_stuck_workflow() -> None:
    producer = Plan("producer", tries=1)
    world = World(Plan("root", children=[producer, Plan("consumer", needs=[producer])]))
    world.run(failing("producer"))
    assert world.finish is not None and (world.finish.outcome, world.finish.stuck) == ("failed", ())


# Many


def fan(count: int) -> list[Plan]:
    return [Plan("leaf") for _ in range(count)]


@pytest.mark.parametrize("carried", [True, False])
def test_a_fan_out_and_in_is_forgotten_when_it_is_done(carried: bool) -> None:
    leaves = fan(10_000)
    world = World(Plan("root", adds_children=leaves, adds_follow_ons=[Plan("sum", needs=leaves)]), carried=carried)
    finish(world, "root")
    assert len(world.graph.jobs) == 10_002
    world.run()
    assert len(world.log) == 10_002
    assert len(world.graph.jobs) == 1
    assert not world.graph.requests and not world.graph.failures
    world.collect()
    assert set(world.blobs) == set(world.graph.held)


def test_leaves_that_nobody_asks_for_are_forgotten_as_they_end() -> None:
    world = World(Plan("root", adds_children=fan(1000), adds_follow_ons=[Plan("last")]))
    finish(world, "root")
    while running(world) != {"last"}:
        finish(world, "leaf")
        assert len(world.graph.jobs) <= 1002 - (len(world.log) - 1)
    assert len(world.graph.jobs) == 2


def test_a_chain_is_no_recursion() -> None:
    plan = Plan("last")
    for _ in range(5000):
        plan = Plan("link", children=[plan])
    world = World(plan)
    world.run()
    assert len(world.log) == 5001 and len(world.graph.jobs) == 1


def test_kinds_that_no_job_has_any_more_are_forgotten() -> None:
    plan = Plan("last")
    for wave in range(50):
        leaves = [Plan("leaf", requirement=Requirement(disk=100 * wave + number)) for number in range(100)]
        plan = Plan("wave", adds_children=leaves, adds_follow_ons=[plan])
    world = World(plan)
    world.run()
    assert len(world.log) == 5051
    assert len(world.graph.kinds) < 2000


def test_kinds_are_looked_through_when_there_may_be_twice_as_many_as_jobs_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "KINDS", 10)
    graph = World(Plan("root", children=[Plan(f"child{number}") for number in range(4)])).graph  # five kinds that jobs have

    def known(first: int, count: int) -> bool:
        """Whether the first of these is still known after the last."""
        kinds = [Kind(f"kind{number}", Requirement()) for number in range(first, first + count)]
        kept = [graph.kind(kind) for kind in kinds]
        return graph.kind(Kind(f"kind{first}", Requirement())) is kept[0]

    assert known(0, 5), "there are as many now as need no look"
    assert not known(5, 1) or len(graph.kinds) == 6, "one more, and only those of jobs stay, and the newest"
    assert graph.kind(Kind("kind5", Requirement())) is graph.kind(Kind("kind5", Requirement())) and len(graph.kinds) == 6
    assert known(100, 16), "twice those that stayed, and ten"
    assert not known(200, 2) or len(graph.kinds) == 7


# Requests


def test_local_jobs_that_run_elsewhere_are_no_part_of_the_backlog() -> None:
    locals = [Plan("local", local=True) for _ in range(3)]
    plan = Plan("root", children=[*locals, Plan("a"), Plan("b"), Plan("c")])
    world = World(plan, sizing=Sizing(slots=None, backlog=1, apart=True))
    finish(world, "root")
    assert len(world.open) == 4, "all that are local, and one other"
    finish(world, "local", "local", "local")
    assert len(world.open) == 1, "that they ended makes no room for others"
    assert world.run().outcome == "succeeded"


def test_local_jobs_that_run_with_all_others_are_bounded_with_them() -> None:
    world = World(Plan("root", children=[Plan("local", local=True), Plan("local", local=True), Plan("a")]), sizing=Sizing(slots=None, backlog=1))
    finish(world, "root")
    while world.open:
        assert len(world.open) == 1
        world.commit(next(iter(world.open)))
    assert world.finish is not None and world.finish.outcome == "succeeded"


def test_what_is_tried_again_is_bounded_too() -> None:
    sizing = Sizing(slots=None, backlog=1, apart=True)
    world = World(Plan("root", children=[Plan("a"), Plan("b"), Plan("c")]), sizing=sizing, policy=Policy(tries=9, backoff=0.0))
    finish(world, "root")
    for _ in range(6):
        (request,) = world.open
        world.commit(request, fails=failing("a", "b", "c"))
    assert len(world.open) == 1
    assert world.run().outcome == "succeeded"


def test_tiny_jobs_travel_in_batches_and_others_alone() -> None:
    world = World(Plan("root", adds_children=fan(1000)), sizing=Sizing(slots=2), chain=True)
    world.run()
    assert max(len(submit.tasks) for submit in world.requests) > 10
    assert len(world.requests) < 200
    assert all(submit.chain == (len(submit.tasks) == 1) for submit in world.requests), "nothing goes on in a batch"


def test_the_backlog_bounds_what_is_open() -> None:
    world = World(Plan("root", adds_children=fan(100)), sizing=Sizing(slots=None, backlog=7))
    finish(world, "root")
    assert len(world.open) == 7


def test_one_kind_does_not_keep_another_back() -> None:
    world = World(Plan("root", adds_children=[*fan(100), Plan("other")]), sizing=Sizing(slots=1))
    finish(world, "root")
    assert running(world) == {"leaf", "other"}


def test_a_batch_may_commit_in_parts() -> None:
    world = World(Plan("root", adds_children=fan(1000)), sizing=Sizing(slots=2))
    finish(world, "root")
    while not (request := next((id for id, tasks in world.open.items() if len(tasks) > 2), "")):
        finish(world, "leaf")
    before = len(world.log)
    world.commit(request, tasks=2)
    assert len(world.log) == before + 2 and request in world.graph.requests
    world.commit(request)
    assert request not in world.graph.requests
    world.run()
    assert len(world.log) == 1001


def test_a_batch_that_is_lost_half_way_keeps_what_it_committed() -> None:
    world = World(Plan("root", adds_children=fan(1000)), sizing=Sizing(slots=2))
    finish(world, "root")
    while not (request := next((id for id, tasks in world.open.items() if len(tasks) > 2), "")):
        finish(world, "leaf")
    members = [task.job for task in world.open[request]]
    world.commit(request, tasks=1)
    world.lose(request)
    again = [task for submit in world.requests if submit.request != request for task in submit.tasks if task.job in members]
    assert members[0] not in {task.job for task in again}
    assert all(task.attempt == 1 for task in again), "a lost node uses up no try"
    world.run()
    assert len(world.log) == 1001
    alone = [submit for submit in world.requests if submit.request != request and any(task.job in members for task in submit.tasks)]
    assert all(len(submit.tasks) == 1 for submit in alone), "what failed before travels alone"


def test_one_failure_in_a_batch_is_one_job_s_failure() -> None:
    leaves = fan(999)
    world = World(Plan("root", adds_children=[*leaves, Plan("leaf", size=1)]), policy=Policy(backoff=0.0), sizing=Sizing(slots=2))
    broken: list[Plan] = []

    def once(plan: Plan) -> Failure | None:
        if plan.size and not broken:
            broken.append(plan)
            return Failure(Reason.FAILED, "once")
        return None

    assert world.run(once).outcome == "succeeded"
    assert len(world.failed) == 1 and len(world.log) == 1001


def test_a_job_with_children_of_its_own_does_not_go_on_with_a_follow_on_that_it_adds() -> None:
    """The worker cannot know of the children (found by a swarm, seed 59)."""
    world = World(Plan("root", children=[Plan("child")], adds_follow_ons=[Plan("after")]), chain=True)
    assert not world.requests[0].chain
    world.run()
    assert names(world.log) == ["root", "child", "after"]


@pytest.mark.parametrize("carried", [True, False])
def test_a_chain_of_commits_in_one_request(carried: bool) -> None:
    third = Plan("third", size=2000)
    second = Plan("second", adds_children=[third], size=2000)
    world = World(Plan("root", adds_children=[second], size=2000), chain=True, carried=carried)
    (request,) = world.open
    assert world.requests[0].chain
    world.commit(request, chained=second)
    assert len(world.requests) == 1, "what goes on in its predecessor's request is not sent out again"
    world.commit(request, chained=third)
    world.commit(request)
    assert names(world.log) == ["root", "second", "third"] and world.finish is not None
    assert len(world.requests) == 1


def test_a_chained_job_whose_worker_is_lost_goes_out_again() -> None:
    second = Plan("second")
    world = World(Plan("root", adds_children=[second]), chain=True)
    (request,) = world.open
    world.commit(request, chained=second)
    world.lose(request)
    assert running(world) == {"second"}
    world.run()
    assert names(world.log) == ["root", "second"]


def test_what_one_entry_of_a_commit_lets_go_of_another_may_hold() -> None:
    second = Plan("second", size=2000)
    consumer = Plan("consumer", needs=[second])
    world = World(Plan("root", adds_children=[second, consumer]), chain=True, carried=False)
    (request,) = world.open
    key = world.commit(request, together=second)
    assert key not in world.graph.garbage, "it holds the value that the consumer needs"
    assert names(world.log) == ["root", "second"] and running(world) == {"consumer"}, "both count"
    world.run()


def test_a_stale_chain_entry_does_not_keep_ready_jobs_back() -> None:
    second = Plan("second")
    other = Plan("other", requirement=Requirement(cores=0.5))
    world = World(Plan("root", adds_children=[second, other]), chain=True)
    (request,) = world.open
    world.commit(request, chained=second)
    assert running(world) == {"second", "other"}
    finish(world, "other")
    world.commit(request)
    assert world.finish is not None and world.finish.outcome == "succeeded"


def test_commits_of_closed_requests_and_out_of_turn_do_not_count() -> None:
    world = World(Plan("root", adds_children=[Plan("child")]))
    (request,) = world.open
    key = world.commit(request, applied=False)
    late = world.event(key)
    world.graph.requests[request].next = 1
    world.apply(late)
    assert not world.log
    world.apply(RequestEnded(request, Reason.NODE_LOST, "", 0.0))
    world.apply(late)
    assert not world.log


# Failures


def test_a_failed_job_waits_and_is_tried_again() -> None:
    world = World(Plan("root"), policy=Policy(tries=3, backoff=2.0, backoff_factor=3.0))
    finishes = failing("root")
    world.commit(request_of(world, "root"), fails=finishes)
    assert not world.open and world.wake == 2.0
    world.apply(TimePassed(1.9))
    assert not world.open
    world.pass_time()
    world.commit(request_of(world, "root"), fails=finishes)
    assert world.wake == 2.0 + 6.0
    world.pass_time()
    assert world.open[request_of(world, "root")][0].attempt == 3
    world.commit(request_of(world, "root"), fails=finishes)
    assert world.finish is not None and world.finish.outcome == "failed"
    assert [(failed.final, failed.tries_left, failed.delay) for failed in world.failed] == [
        (False, 2, 2.0),
        (False, 1, 6.0),
        (True, 0, 0.0),
    ]


def test_the_wake_is_for_the_first_of_those_that_wait() -> None:
    world = World(Plan("root", children=[Plan("a"), Plan("b")]), policy=Policy(tries=3, backoff=2.0))
    finish(world, "root")
    world.commit(request_of(world, "a"), fails=failing("a"))
    world.now = 1.0
    world.commit(request_of(world, "b"), fails=failing("b"))
    assert world.wake == 2.0
    world.pass_time()
    assert running(world) == {"a"} and world.wake == 3.0
    world.pass_time()
    assert running(world) == {"a", "b"}


def test_a_failure_that_cannot_end_differently_is_final() -> None:
    world = World(Plan("root"), policy=Policy(tries=5))
    world.commit(request_of(world, "root"), fails=failing("root", retry=False))
    assert world.finish is not None and world.finish.outcome == "failed"


def test_a_job_s_own_number_of_tries_counts() -> None:
    world = World(Plan("root", tries=3), policy=Policy(tries=1, backoff=0.0))
    world.run(failing("root"))
    assert len(world.failed) == 3


@pytest.mark.parametrize("reason", [Reason.NODE_LOST, Reason.PREEMPTED])
def test_a_lost_node_uses_up_no_try_until_the_job_is_suspected(reason: Reason) -> None:
    world = World(Plan("root"), policy=Policy(tries=1, losses=3))
    for _ in range(4):
        assert world.open[request_of(world, "root")][0].attempt == 1
        world.lose(request_of(world, "root"), reason, "gone")
    assert world.finish is not None and world.finish.outcome == "failed"
    assert [failed.final for failed in world.failed] == [False, False, False, True]
    assert [failed.tries_left for failed in world.failed] == [1, 1, 1, 0]


def test_a_cancelled_request_is_nobody_s_failure() -> None:
    world = World(Plan("root"), policy=Policy(tries=1, losses=0))
    for _ in range(3):
        world.end(request_of(world, "root"), Reason.CANCELLED)
    assert not world.failed
    assert world.run().outcome == "succeeded"


def test_what_can_never_fit_fails_at_once_with_the_batch_system_s_words() -> None:
    world = World(Plan("root"), policy=Policy(tries=9))
    world.end(request_of(world, "root"), Reason.TOO_BIG, "it needs 900 cores")
    assert world.finish is not None and world.finish.outcome == "failed"
    assert world.failed[0].failure.message == "it needs 900 cores"


def test_what_ran_out_of_memory_in_its_predecessor_s_request_goes_out_with_more() -> None:
    """It still lies where it waited before, among those that need what it needed then."""
    second = Plan("second", requirement=Requirement(memory=1000), adds_children=[Plan("third")])
    world = World(Plan("root", adds_children=[second]), policy=Policy(backoff=0.0), sizing=Sizing(backlog=1), chain=True)
    (request,) = world.open
    world.commit(request, chained=second)
    world.commit(request, fails=lambda plan: Failure(Reason.OUT_OF_MEMORY, "too little"))
    assert [(submit.name, submit.requirement.memory) for submit in world.requests[1:]] == [("second", 2000)]
    assert world.run().outcome == "succeeded"


def test_out_of_memory_is_tried_again_at_once_with_more() -> None:
    world = World(Plan("root", requirement=Requirement(memory=1000)), policy=Policy(tries=5, memory_factor=2.0, max_memory=3000))
    asked = []
    for _ in range(3):
        asked.append(world.requests[-1].requirement.memory)
        world.commit(request_of(world, "root"), fails=failing("root", reason=Reason.OUT_OF_MEMORY))
    asked.append(world.requests[-1].requirement.memory)
    assert asked == [1000, 2000, 3000, 3000]


def test_the_first_final_failure_can_stop_the_run() -> None:
    world = World(Plan("root", children=[Plan("a", tries=1), Plan("b"), Plan("c")]), policy=Policy(stop_on_failure=True))
    finish(world, "root")
    open_now = {request_of(world, "b"), request_of(world, "c")}
    world.commit(request_of(world, "a"), fails=failing("a"))
    assert set(world.cancelled) >= open_now and world.finish is None
    for request in open_now:
        world.end(request, Reason.CANCELLED)
    assert world.finish is not None and world.finish.outcome == "failed"


def test_a_failure_that_is_tried_again_stops_nothing() -> None:
    world = World(Plan("root"), policy=Policy(tries=2, backoff=0.0, stop_on_failure=True))
    world.commit(request_of(world, "root"), fails=failing("root"))
    assert not world.cancelled
    assert world.run().outcome == "succeeded"


def test_a_run_that_is_asked_to_stop_issues_nothing_more() -> None:
    world = World(Plan("root", children=[Plan("a", children=[Plan("below")]), Plan("b")]))
    finish(world, "root")
    world.apply(StopAsked())
    world.apply(StopAsked())
    assert len(world.cancelled) == 2
    finish(world, "a")
    assert running(world) == {"b"}
    world.end(request_of(world, "b"), Reason.CANCELLED)
    assert world.finish is not None and world.finish.outcome == "interrupted"
    assert names(world.log) == ["root", "a"], "what committed all the same counts"


def test_a_stop_while_all_wait_ends_the_run() -> None:
    world = World(Plan("root"))
    world.commit(request_of(world, "root"), fails=failing("root"))
    world.apply(StopAsked())
    assert world.finish is not None and world.finish.outcome == "interrupted"


# A new leader


def test_commits_after_failures_that_no_checkpoint_tells_of_count() -> None:
    world = World(Plan("root", children=[Plan("a")]), policy=Policy(tries=3, backoff=1.0, backoff_factor=1.0))
    finish(world, "root")
    world.checkpoint()
    for _ in range(2):
        world.commit(request_of(world, "a"), fails=failing("a"))
        world.pass_time()
    finish(world, "a")
    world.crash()
    assert world.finish is not None and world.finish.outcome == "succeeded"
    assert names(world.log) == ["root", "a"]


def test_a_commit_counts_although_fewer_tries_are_allowed_now() -> None:
    world = World(Plan("root", children=[Plan("a")]), policy=Policy(tries=3, backoff=0.0))
    finish(world, "root")
    world.checkpoint()
    world.commit(request_of(world, "a"), fails=failing("a"))
    finish(world, "a")
    world.policy = Policy(tries=1)
    world.crash()
    assert names(world.log) == ["root", "a"] and not world.graph.failed


@pytest.mark.parametrize("fenced", [True, False])
def test_a_commit_counts_although_its_job_was_in_a_lost_request_at_the_checkpoint(fenced: bool) -> None:
    world = World(Plan("root", children=[Plan("a")]))
    finish(world, "root")
    world.checkpoint()
    if fenced:
        world.lose(request_of(world, "a"))
    else:
        world.end(request_of(world, "a"), Reason.CANCELLED)
    finish(world, "a")
    world.crash()
    assert names(world.log) == ["root", "a"]


def test_the_parts_of_a_batch_count_that_can_be_read() -> None:
    world = World(Plan("root", adds_children=fan(1000)), sizing=Sizing(slots=2))
    finish(world, "root")
    while not (request := next((id for id, tasks in world.open.items() if len(tasks) > 3), "")):
        finish(world, "leaf")
    world.checkpoint()
    members = [task.job for task in world.open[request]]
    first = world.commit(request, tasks=1)
    world.commit(request, tasks=1)
    world.crash([first])
    assert members[0] not in world.done and members[1] in world.done
    world.run()
    assert len(world.log) == 1001


def test_what_a_checkpoint_holds_already_is_kept_when_it_is_read_again_and_what_tells_nothing_is_not() -> None:
    world = World(Plan("root", adds_children=fan(1000), adds_follow_ons=[Plan("last")]), sizing=Sizing(slots=2))
    finish(world, "root")
    while not (request := next((id for id, tasks in world.open.items() if len(tasks) > 3), "")):
        finish(world, "leaf")
    told = world.commit(request, tasks=1)
    graph = world.graph
    graph.garbage.clear()
    graph.held[told] = 1
    assert graph.replay(world.event(told)) == [] and told not in graph.garbage
    del graph.held[told]
    assert graph.replay(world.event(told)) == [] and graph.garbage == [told]


def test_a_run_that_failed_starts_again_with_new_tries() -> None:
    world = World(Plan("root", children=[Plan("a"), Plan("b")]), policy=Policy(tries=1))
    world.run(failing("a"))
    world.checkpoint()
    world.crash()
    assert running(world) == {"a"}
    assert world.run().outcome == "succeeded"
    assert sorted(names(world.log)) == ["a", "b", "root"]


# What is told and deleted


def test_messages_and_deletions_come_with_the_commit_that_counts() -> None:
    world = World(Plan("root", says=((20, "hello"),), deletes=("files/a", "files/b")))
    world.run()
    assert [(said.name, said.level, said.text) for said in world.said] == [("root", 20, "hello")]
    assert world.deleted == ["files/a", "files/b"]


def test_tallies_count_what_is_known_and_what_ran() -> None:
    world = World(Plan("root", adds_children=fan(3)))
    finish(world, "root")
    assert (world.graph.total, world.graph.ran) == (4, 1)
    world.run()
    tally = world.graph.tallies["leaf"]
    assert (tally.total, tally.ran) == (3, 3) and tally.wall == pytest.approx(0.003)


# Blobs


def test_the_user_s_own_graph_is_kept_as_long_as_bodies_lie_in_it() -> None:
    world = World(Plan("root", children=[Plan("a", size=5000)]), carried=True)
    finish(world, "root")
    assert INITIAL not in world.graph.garbage
    finish(world, "a")
    assert world.graph.garbage.count(INITIAL) == 1


def test_a_blob_lives_as_long_as_anything_refers_to_it() -> None:
    producer = Plan("producer", size=5000)
    world = World(Plan("root", children=[producer, Plan("consumer", needs=[producer])]))
    finish(world, "root")
    key = keys.commit(request_of(world, "producer"), 0)
    finish(world, "producer")
    assert world.graph.held[key] == 1 and key not in world.graph.garbage
    finish(world, "consumer")
    assert key not in world.graph.held and world.graph.garbage.count(key) == 1


def test_equal_kinds_are_one_object() -> None:
    world = World(Plan("root", adds_children=[Plan("a", adds_children=[Plan("leaf")]), Plan("b", adds_children=[Plan("leaf")])]))
    finish(world, "root", "a", "b")
    kinds = [job.kind for job in world.graph.jobs.values() if job.kind == Kind("leaf", Requirement())]
    assert len(kinds) == 2 and kinds[0] is kinds[1]


def test_a_failure_is_forgotten_when_the_job_succeeds() -> None:
    world = World(Plan("root", children=[Plan("a"), Plan("b")]), policy=Policy(tries=3, backoff=0.0))
    finish(world, "root")
    world.commit(request_of(world, "a"), fails=failing("a"))
    assert [failure.message for failure in world.graph.failures.values()] == ["a broke"]
    finish(world, "a")
    assert not world.graph.failures


def test_what_never_started_and_was_cancelled_is_no_attempt() -> None:
    world = World(Plan("root", children=[Plan("a"), Plan("b")]))
    finish(world, "root")
    world.graph.past.blob()
    world.graph.past.written()
    started = request_of(world, "b")
    world.graph.requests[started].started = 5.0
    world.now = 7.0
    world.end(request_of(world, "a"), Reason.CANCELLED)
    world.end(started, Reason.CANCELLED)
    (attempt,) = history.decode(world.graph.past.blob(), "")
    assert (attempt.name, attempt.outcome, attempt.started, attempt.wall) == ("b", Reason.CANCELLED.value, 5.0, 2.0)


def test_what_was_lost_before_anybody_said_that_it_started_is_an_attempt() -> None:
    world = World(Plan("root"))
    world.now = 7.0
    world.lose(request_of(world, "root"))
    (attempt,) = history.decode(world.graph.past.blob(), "")
    assert (attempt.name, attempt.outcome, attempt.started, attempt.wall) == ("root", Reason.NODE_LOST.value, 0.0, 0.0)
    (failure,) = world.graph.failures.values()
    assert failure.message == Reason.NODE_LOST.value, "which is all that is known"


def test_a_new_leader_waits_for_nothing_that_the_old_one_waited_for() -> None:
    world = World(Plan("root"), policy=Policy(tries=3, backoff=50.0))
    world.commit(request_of(world, "root"), fails=failing("root"))
    assert running(world) == set()
    world.crash()
    assert running(world) == {"root"}
    assert not world.graph.delayed
    assert not [command for command in world.graph.apply(TimePassed(100.0)) if isinstance(command, Wake)]


def test_a_graph_of_many_parts_comes_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "PART", 2)
    first, second = Plan("first", size=2000), Plan("second")
    last = Plan("last", needs=[first, second])
    late = Plan("late", children=[Plan("under")], needs=[second])
    world = World(Plan("root", adds_children=[first, second, Plan("third", follow_ons=[late])], adds_follow_ons=[last], promises=[last]), carried=False)
    finish(world, "root", "first")
    before = state_of(world.graph)
    copy = Graph(1, world.policy, world.sizing)
    snapshot.restore(copy, snapshot.decode(snapshot.encode(world.graph), "it"))
    assert state_of(copy) == before
    world.checkpoint()
    world.crash()
    assert running(world) == {"second", "third"}
    assert world.run().outcome == "succeeded"
