"""The rules of checkpoint jobs in the graph, one small case each."""

from __future__ import annotations

import gc

import pytest

from tests.leader.test_graph import failing, fan, finish, names, request_of, running
from tests.leader.test_services import service, up
from tests.leader.world import Plan, World
from toil_core.batch_system import Reason
from toil_core.leader import snapshot
from toil_core.leader.collector import paused
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.retries import Policy
from toil_core.leader.services import Limits
from toil_core.leader.state import JobState
from toil_core.wire import keys
from toil_core.wire.jobs import Failure

QUICK = Policy(tries=3, backoff=0.0)


def fail(world: World, name: str) -> None:
    world.commit(request_of(world, name), fails=failing(name))


def broken(name: str = "broken", **more: object) -> Plan:
    return Plan(name, tries=1, **more)  # type: ignore[arg-type]


def in_memory(jobs: set[int]) -> list[str]:
    """Which of the jobs, told by their identity, are not freed yet."""
    return [each.id for each in gc.get_objects() if type(each) is JobState and id(each) in jobs]


def test_all_below_is_dropped_and_it_runs_again_with_one_try_less() -> None:
    top = Plan("top", checkpoint=True, adds_children=[Plan("fine"), broken()], adds_follow_ons=[Plan("last")])
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top", "fine")
    fail(world, "broken")
    assert running(world) == {"top"} and names(world.log) == ["root"]
    assert world.open[request_of(world, "top")][0].attempt == 2
    assert [(failed.final, failed.tries_left, failed.instead) for failed in world.failed] == [(False, 2, "top")]
    assert (world.graph.total, world.graph.ran) == (2, 1)
    assert world.run().outcome == "succeeded"
    assert world.runs[top] == 2 and sorted(names(world.log)) == ["broken", "fine", "last", "root", "top"]
    assert len(world.graph.jobs) == 1 and not world.graph.redo.scopes and not world.graph.redo.scope_of
    assert (world.graph.total, world.graph.ran) == (5, 5)
    world.collect()
    assert set(world.blobs) == set(world.graph.held)


def test_its_tries_are_used_up_in_the_end() -> None:
    world = World(Plan("root", adds_children=[Plan("top", checkpoint=True, adds_children=[broken()])]), policy=QUICK)
    assert world.run(failing("broken")).outcome == "failed"
    assert [(failed.final, failed.instead) for failed in world.failed] == [(False, "top"), (False, "top"), (True, "")]
    assert [world.nodes[id].plan.name for id in world.graph.failed] == ["broken"]


def test_a_checkpoint_says_what_failed_for_good() -> None:
    world = World(Plan("root", children=[broken()]))
    finish(world, "root")
    fail(world, "broken")
    graph = Graph(1, QUICK, world.sizing)
    snapshot.restore(graph, snapshot.decode(snapshot.encode(world.graph), "it"))
    assert list(graph.failed) == list(world.graph.failed) and len(graph.failed) == 1


def test_what_is_below_services_that_can_never_run_together_does_not_start() -> None:
    top = Plan("top", checkpoint=True, adds_services=[service("one"), service("two")], adds_children=[Plan("user")])
    world = World(Plan("root", children=[top]), policy=QUICK, limits=Limits(services=1))
    finish(world, "root", "top")
    assert running(world) == {"top"} and names(world.log) == ["root"]
    assert [(failed.name, failed.final) for failed in world.failed] == [("two", False)]


def test_it_waits_as_after_any_failure() -> None:
    world = World(Plan("top", checkpoint=True, adds_children=[broken()]), policy=Policy(tries=3, backoff=2.0, backoff_factor=3.0))
    for wait in (2.0, 6.0):
        world.now = 100.0
        finish(world, "top")
        fail(world, "broken")
        assert not world.open and world.wake == 100.0 + wait
        world.pass_time()
    assert running(world) == {"top"}


def test_what_runs_below_is_cancelled_and_never_counts() -> None:
    world = World(Plan("top", checkpoint=True, adds_children=[Plan("slow"), broken()]), policy=QUICK)
    finish(world, "top")
    slow, job = request_of(world, "slow"), world.open[request_of(world, "slow")][0].job
    fail(world, "broken")
    assert world.cancelled == [slow] and slow in world.graph.requests
    world.commit(slow)
    assert names(world.log) == [] and keys.attempt_files(slow, job) in world.swept
    assert slow not in world.graph.requests
    assert world.run().outcome == "succeeded"


def test_a_request_that_holds_others_too_goes_on_when_some_of_its_jobs_are_dropped() -> None:
    outside = fan(300)
    top = Plan("top", checkpoint=True, adds_children=[*fan(300), broken()])
    world = World(Plan("root", adds_children=[top, *outside]), policy=QUICK, sizing=Sizing(slots=2))
    finish(world, "root", "top")

    def plans(request: str) -> set[bool]:
        return {world.nodes[task.job].plan in outside for task in world.open[request]}

    while not (mixed := next((request for request in world.open if plans(request) == {True, False}), "")):
        finish(world, "leaf")
    below = {request for request in world.open if plans(request) == {False}} - {request_of(world, "broken")}
    fail(world, "broken")
    assert set(world.cancelled) == below
    world.commit(mixed)
    assert mixed not in world.graph.requests
    assert world.run().outcome == "succeeded"
    assert [world.runs[leaf] for leaf in outside] == [1] * 300, "what was not dropped ran once"


def test_who_waited_and_was_dropped_leaves_no_trace() -> None:
    """A leader that starts on what is left, and one that starts after it, know the same."""
    top = Plan("top", checkpoint=True)
    top.adds_children = [broken(), Plan("late", needs=[top])]
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top")
    (job,) = [job for job in world.graph.jobs.values() if job.kind.name == "top"]
    fail(world, "broken")
    assert job.waiters is None


def test_what_was_dropped_is_free_at_once() -> None:
    """Leaders look for garbage rarely."""
    inner = Plan("inner", children=[Plan("leaf")], follow_ons=[Plan("after")])
    world = World(Plan("top", checkpoint=True, adds_children=[inner, broken(), Plan("late", needs=[inner])]), policy=QUICK)
    finish(world, "top")
    dropped = {id(job) for job in world.graph.jobs.values() if job is not world.graph.root}
    with paused():
        fail(world, "broken")
        left = in_memory(dropped)
    assert len(dropped) == 5 and not left


def test_a_new_leader_too_lets_others_wait_for_its_value_until_all_below_is_done() -> None:
    top = Plan("top", checkpoint=True, adds_children=[Plan("below")])
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top")
    world.checkpoint()
    world.crash()
    assert running(world) == {"below"}
    finish(world, "below")
    assert running(world) == {"user"}


def test_what_ran_is_free_at_once_although_it_waited_for_the_value_of_the_job_that_added_it() -> None:
    top = Plan("top", checkpoint=True)
    top.adds_children = [Plan("inside", needs=[top]), Plan("other")]
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top")
    inside = {id(job) for job in world.graph.jobs.values() if job.kind.name == "inside"}
    with paused():
        finish(world, "inside")
        left = in_memory(inside)
    assert len(inside) == 1 and not left
    assert world.run().outcome == "succeeded"


@pytest.mark.parametrize("local", [False, True])
def test_what_was_dropped_by_the_commit_that_made_it_does_not_go_out(local: bool) -> None:
    bad = broken()
    top = Plan("top", checkpoint=True, adds_children=[Plan("other", local=local), bad])
    world = World(top, policy=QUICK, sizing=Sizing(slots=4, apart=True), chain=True)
    world.commit(request_of(world, "top"), together=bad, fails=failing("broken"))
    assert running(world) == {"top"} and [failed.instead for failed in world.failed] == ["top"]
    assert world.run().outcome == "succeeded"


def test_files_of_what_was_dropped_go_and_what_it_deleted_stays() -> None:
    top = Plan("top", checkpoint=True, deletes=("files/top",), adds_children=[Plan("fine", deletes=("files/a",)), broken()])
    world = World(top, policy=QUICK)
    first = request_of(world, "top")
    finish(world, "top")
    second, job = request_of(world, "fine"), world.open[request_of(world, "fine")][0].job
    finish(world, "fine")
    fail(world, "broken")
    assert world.deleted == []
    assert set(world.swept) == {keys.attempt_files(first, "0.0"), keys.attempt_files(second, job)}
    finish(world, "top", "fine")
    assert world.deleted == [], "it can still be run again"
    finish(world, "broken")
    assert sorted(world.deleted) == ["files/a", "files/top"]


@pytest.mark.parametrize("reason", [Reason.FAILED, Reason.TOO_BIG])
def test_nested(reason: Reason) -> None:
    inner = Plan("inner", checkpoint=True, tries=2, adds_children=[broken(), Plan("side", deletes=("files/a",))])
    outer = Plan("outer", checkpoint=True, adds_children=[inner, Plan("other")])
    world = World(Plan("root", children=[outer]), policy=QUICK)

    def fails(plan: Plan) -> Failure | None:
        return Failure(reason, "no") if plan.name == "broken" and world.runs[outer] < 3 else None

    assert world.run(fails).outcome == "succeeded"
    assert (world.runs[outer], world.runs[inner]) == (3, 5)
    assert sorted(names(world.log)) == ["broken", "inner", "other", "outer", "root", "side"]
    assert world.deleted == ["files/a"]
    assert len(world.graph.jobs) == 1 and not world.graph.redo.scope_of
    assert (world.graph.total, world.graph.ran) == (6, 6)


def test_what_is_left_of_an_inner_one_that_is_done_belongs_to_the_outer_one() -> None:
    kept = Plan("kept", temporary=("files/t",))
    inner = Plan("inner", checkpoint=True, adds_children=[kept], promises=[kept])
    outer = Plan("outer", checkpoint=True, adds_children=[inner, Plan("user", needs=[inner]), broken()])
    world = World(Plan("root", children=[outer]), policy=QUICK)
    finish(world, "root", "outer", "inner", "kept", "user")
    assert not world.deleted, "all of it can still be run again"
    fail(world, "broken")
    assert running(world) == {"outer"} and (world.graph.total, world.graph.ran) == (2, 1), "all that the inner one counted is counted no more"
    finish(world, "outer", "inner", "kept")
    fail(world, "broken")
    assert running(world) == {"outer", "user"} and names(world.log) == ["root"]
    finish(world, "user", "outer", "broken", "inner", "kept", "user")
    assert world.deleted == ["files/t"]
    assert world.finish is not None and world.finish.outcome == "succeeded" and not world.graph.redo.scope_of


@pytest.mark.parametrize("folded", [False, True])
def test_a_request_knows_which_of_its_jobs_were_dropped(folded: bool) -> None:
    after = Plan("after")
    slow = Plan("slow", adds_children=[after])
    world = World(Plan("root", children=[Plan("top", checkpoint=True, adds_children=[slow, broken()])]), policy=QUICK, chain=True)
    finish(world, "root", "top")
    request = request_of(world, "slow")
    job = world.open[request][0].job
    fail(world, "broken")
    assert world.graph.requests[request].untold == (job,), "its worker may write files for it"
    world.commit(request, chained=after)
    chained = world.open[request][0].job
    assert world.graph.requests[request].untold == (job, chained), "that went on although nobody waits for it"
    if folded:
        saved = snapshot.decode(snapshot.encode(world.graph), "it")
        assert {id: members for id, _, members, _ in saved.requests}[request] == (job, chained)
        world.checkpoint()
    world.crash()
    assert world.run().outcome == "succeeded"


def test_several_that_it_adds_itself_wait_only_for_what_its_value_promises() -> None:
    child = Plan("child")
    top = Plan("top", checkpoint=True, promises=[child])
    top.adds_children = [child, Plan("first", needs=[top]), Plan("second", needs=[top, child])]
    world = World(Plan("root", children=[top]))
    finish(world, "root", "top")
    assert running(world) == {"child"}
    finish(world, "child")
    assert running(world) == {"first", "second"}
    assert world.run().outcome == "succeeded"


def test_its_value_counts_for_others_only_when_all_below_it_is_done() -> None:
    top = Plan("top", checkpoint=True, adds_children=[broken()])
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top")
    assert running(world) == {"broken"}
    fail(world, "broken")
    finish(world, "top", "broken")
    assert running(world) == {"user"}
    assert world.run().outcome == "succeeded"


def test_a_value_that_promises_it_waits_too() -> None:
    child = Plan("child")
    top = Plan("top", checkpoint=True, adds_children=[child, broken()], promises=[child])
    outer = Plan("outer", adds_children=[top], promises=[top])
    world = World(Plan("root", children=[outer, Plan("user", needs=[outer])]), policy=QUICK)
    finish(world, "root", "outer", "top", "child")
    assert running(world) == {"broken"}
    finish(world, "broken")
    assert running(world) == {"user"}


def test_services_below_it_are_stopped() -> None:
    top = Plan("top", checkpoint=True, adds_services=[service("db", service("web"))], adds_children=[broken(), Plan("user")])
    world = World(top, policy=QUICK)
    finish(world, "top")
    up(world, "db", "web")
    fail(world, "broken")
    assert {world.nodes[tasks[0].job].plan.name for id, tasks in world.open.items() if id in world.asked} == {"web", "user"}
    finish(world, "top")
    assert world.run().outcome == "succeeded"
    assert len(world.graph.jobs) == 1 and not world.graph.services.members


def test_a_service_that_was_dropped_is_forgotten_though_others_were_to_have_its_value() -> None:
    db = service("db")
    top = Plan("top", checkpoint=True, adds_services=[db], adds_children=[Plan("user", needs=[db]), broken()])
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top")
    up(world, "db")
    fail(world, "broken")
    world.end_service(next(iter(world.asked & set(world.up.values()))))
    assert "db" not in names([world.nodes[id].plan for id in world.graph.jobs])
    assert world.run().outcome == "succeeded"
    world.collect()
    assert set(world.blobs) == set(world.graph.held)


def test_a_service_that_was_dropped_asks_once_no_more_for_its_value() -> None:
    """It has to stop before it is forgotten, and the job runs again meanwhile: others are to have its new value."""
    top = Plan("top", checkpoint=True)
    db = service("db", needs=[top])
    top.adds_services, top.adds_children = [db], [broken()]
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top")
    up(world, "db")
    fail(world, "broken")
    world.end_service(next(iter(world.asked & set(world.up.values()))))
    assert world.run().outcome == "succeeded"


def test_a_service_that_fails_for_good_below_it() -> None:
    top = Plan("top", checkpoint=True, adds_services=[service("db", tries=1)], adds_children=[Plan("user")])
    world = World(top, policy=QUICK)
    finish(world, "top")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    assert running(world) == {"top"}
    assert world.run().outcome == "succeeded"


def test_after_a_crash_that_followed_a_drop() -> None:
    top = Plan("top", checkpoint=True, adds_children=[Plan("fine"), broken()])
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top", "fine")
    world.checkpoint()
    fail(world, "broken")
    finish(world, "top", "fine")
    world.crash()
    assert running(world) == {"broken"} and sorted(names(world.log)) == ["fine", "root", "top"]
    assert world.run().outcome == "succeeded"


def test_a_new_leader_believes_what_ran_below_when_the_drop_left_no_trace() -> None:
    top = Plan("top", checkpoint=True, adds_children=[Plan("fine"), broken()])
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top", "fine")
    fail(world, "broken")
    world.crash()
    assert running(world) == {"broken"} and sorted(names(world.log)) == ["fine", "root", "top"]
    assert world.run().outcome == "succeeded"


def test_a_drop_that_was_folded() -> None:
    top = Plan("top", checkpoint=True, adds_children=[Plan("fine", size=2000), broken()], size=2000)
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top", "fine")
    fail(world, "broken")
    world.checkpoint()
    world.crash()
    assert running(world) == {"top"} and names(world.log) == ["root"]
    assert world.run().outcome == "succeeded"


def test_jobs_that_it_added_are_given_its_own_value_at_once() -> None:
    first = Plan("first")
    top = Plan("top", checkpoint=True, adds_children=[first], promises=[first])
    child = broken("child", needs=[top])
    top.adds_children.append(child)
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top")
    assert running(world) == {"first"}
    finish(world, "first")
    assert running(world) == {"child"}
    assert len(world.open[request_of(world, "child")][0].values) == 2
    world.checkpoint()
    world.crash()
    assert running(world) == {"child"}
    fail(world, "child")
    finish(world, "top")
    world.checkpoint()
    world.crash()
    finish(world, "first", "child")
    assert running(world) == {"user"}
    assert world.run().outcome == "succeeded"


def test_what_was_dropped_does_not_ask_for_its_value_any_more() -> None:
    top = Plan("top", checkpoint=True)
    top.adds_children = [broken(needs=[top])]
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top")
    fail(world, "broken")
    assert world.run().outcome == "succeeded"
    assert [world.nodes[id].plan.name for id in world.graph.jobs] == ["root"], "nobody asks for the others"


def test_one_that_ran_does_not_run_again_after_a_restart_that_finds_the_values_that_it_was_given() -> None:
    inner = Plan("inner")
    producer = Plan("producer", adds_children=[inner], promises=[inner])
    top = Plan("top", checkpoint=True, needs=[producer], adds_children=[Plan("below")])
    world = World(Plan("root", children=[producer, top]))
    finish(world, "root", "producer", "inner", "top")
    world.checkpoint()
    world.crash()
    assert running(world) == {"below"}
    assert world.run().outcome == "succeeded" and world.runs[top] == 1


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_still_asked_for_when_it_is_done_is_forgotten_like_any_other(folded: bool) -> None:
    kept = Plan("kept", temporary=("files/t",))
    top = Plan("top", checkpoint=True, adds_children=[kept], promises=[kept])
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top", "kept")
    assert running(world) == {"user"} and not world.graph.redo.scope_of and not world.deleted
    if folded:
        world.checkpoint()
        world.crash()
    finish(world, "user")
    assert world.deleted == ["files/t"]


def test_services_that_were_over_below_it_are_counted_no_more_when_it_runs_again() -> None:
    users = [Plan(f"user{number}", services=[service("db")], children=[Plan("served")]) for number in range(2)]
    top = Plan("top", checkpoint=True, adds_children=[*users, broken()])
    world = World(Plan("root", children=[top]), policy=QUICK)
    finish(world, "root", "top", "user0", "user1")
    for _ in range(2):
        up(world, "db")
        finish(world, "served")
        world.end_service(next(iter(world.asked)))
    tally = world.graph.tallies["db"]
    assert (tally.total, tally.ran) == (2, 2)
    fail(world, "broken")
    tally = world.graph.tallies["db"]
    assert (tally.total, tally.ran) == (0, 0) and (world.graph.total, world.graph.ran) == (2, 1)
    assert world.run().outcome == "succeeded"


def test_files_of_an_inner_one_that_is_done_go_with_the_outer_one() -> None:
    inner = Plan("inner", checkpoint=True, adds_children=[Plan("kept")])
    outer = Plan("outer", checkpoint=True, adds_children=[inner, broken()])
    world = World(Plan("root", children=[outer]), policy=QUICK)
    finish(world, "root", "outer", "inner", "kept")
    fail(world, "broken")
    assert {world.nodes[prefix.split("/")[2]].plan.name for prefix in world.swept} == {"outer", "inner", "kept"}


def test_nothing_holds_what_was_dropped() -> None:
    producer = Plan("producer", size=2000)
    top = Plan("top", checkpoint=True, size=2000, adds_children=[producer, Plan("user", needs=[producer], size=2000), broken()])
    world = World(Plan("root", children=[top]), policy=QUICK, carried=False)
    finish(world, "root", "top", "producer")
    fail(world, "broken")
    assert world.run().outcome == "succeeded"
    world.collect()
    assert {keys.commit_parts(key)[0] for key in world.graph.held} == {"1-1"}, "only the root's own value is still held"


def test_others_get_its_value_too_when_a_job_that_it_added_had_it_first() -> None:
    top = Plan("top", checkpoint=True)
    top.adds_children.append(Plan("child", needs=[top]))
    world = World(Plan("root", children=[top, Plan("user", needs=[top])]), policy=QUICK)
    finish(world, "root", "top")
    assert running(world) == {"child"}
    finish(world, "child")
    assert running(world) == {"user"}
