"""The rules of services in the graph, one small case each."""

from __future__ import annotations

import pytest

from tests.leader.test_graph import failing, finish, names, request_of, running
from tests.leader.world import Plan, World
from toil_core.batch_system import Reason, Requirement
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import StopAsked, TimePassed
from toil_core.leader.retries import Policy
from toil_core.leader.services import Limits, lacks
from toil_core.wire.jobs import Failure

QUICK = Policy(tries=3, backoff=0.0)


def service(name: str, *children: Plan, **more: object) -> Plan:
    return Plan(name, services=list(children), service=True, **more)  # type: ignore[arg-type]


def served(*services: Plan, **more: object) -> Plan:
    """A root with these services and two users."""
    return Plan("root", services=list(services), children=[Plan("a", needs=list(services[:1])), Plan("b")], **more)  # type: ignore[arg-type]


def up(world: World, *names: str) -> None:
    for name in names:
        world.serve(request_of(world, name))


def stop(world: World, *names: str) -> None:
    for name in names:
        request = request_of(world, name)
        assert request in world.asked
        world.end_service(request)


def asked(world: World) -> set[str]:
    """The names of the services that were asked to stop and have not yet."""
    return {world.nodes[tasks[0].job].plan.name for id, tasks in world.open.items() if id in world.asked}


def outcome(world: World) -> str:
    assert world.finish is not None
    return world.finish.outcome


def test_users_wait_for_the_service_and_it_stops_when_the_last_one_ends() -> None:
    world = World(served(service("db")))
    assert running(world) == {"root"}
    finish(world, "root")
    assert running(world) == {"db"} and list(world.graph.services.starting) == [request_of(world, "db")]
    up(world, "db")
    assert running(world) == {"db", "a", "b"} and not list(world.graph.services.starting)
    assert len(world.open[request_of(world, "a")][0].values) == 1
    finish(world, "a")
    assert not asked(world)
    finish(world, "b")
    assert asked(world) == {"db"} and world.finish is None
    stop(world, "db")
    assert outcome(world) == "succeeded"
    assert len(world.graph.jobs) == 1 and not world.graph.services.crews and not world.graph.services.members
    assert not any(lane.queues or lane.flying for lane in world.graph.issuer._lanes), "services are none of its requests"


def test_where_nobody_uses_them_each_service_is_up_once_all_the_same() -> None:
    world = World(Plan("root", services=[service("db", service("web")), service("other")]))
    finish(world, "root")
    up(world, "db")
    assert running(world) == {"db", "web", "other"} and not asked(world)
    up(world, "other")
    assert running(world) == {"db", "web", "other"} and not asked(world)
    up(world, "web")
    assert asked(world) == {"web", "other"}
    stop(world, "web", "other", "db")
    assert outcome(world) == "succeeded"


def test_however_many_ways_lead_up_from_a_job_each_above_it_is_asked_once() -> None:
    """Through twenty pairs of jobs, each below both before it, a million ways lead up."""
    leaf = Plan("leaf")
    below = [leaf]
    for level in range(20):
        below = [Plan(f"left{level}", children=below), Plan(f"right{level}", children=below)]
    world = World(Plan("root", services=[service("db")], children=below))
    finish(world, "root")
    up(world, "db")
    (last,) = [job for job in world.graph.jobs.values() if world.nodes[job.id].plan is leaf]
    assert [crew.owner.kind.name for crew in world.graph.services.above(last)] == ["root"]


def test_follow_ons_are_users_too() -> None:
    world = World(Plan("root", services=[service("db")], children=[Plan("a")], follow_ons=[Plan("last")]))
    finish(world, "root")
    up(world, "db")
    finish(world, "a")
    assert running(world) == {"db", "last"} and not asked(world)
    finish(world, "last")
    assert asked(world) == {"db"}


def test_parents_start_before_and_stop_after_their_children() -> None:
    world = World(served(service("db", service("web", service("proxy"))), service("other")))
    finish(world, "root")
    assert running(world) == {"db", "other"}
    up(world, "db")
    assert running(world) == {"other", "web"}.union({"db"})
    up(world, "other", "web")
    assert "proxy" in running(world) and "a" not in running(world)
    up(world, "proxy")
    finish(world, "a", "b")
    assert asked(world) == {"proxy", "other"}
    stop(world, "proxy")
    assert asked(world) == {"web", "other"}
    stop(world, "other", "web", "db")
    assert outcome(world) == "succeeded"


def test_a_service_may_need_what_its_parent_gives() -> None:
    db = service("db")
    db.services = [service("web", needs=[db])]
    world = World(served(db))
    finish(world, "root")
    up(world, "db")
    assert len(world.open[request_of(world, "web")][0].values) == 1


def test_services_that_a_running_job_adds() -> None:
    db = service("db")
    world = World(Plan("root", children=[Plan("owner", adds_services=[db], adds_children=[Plan("user", needs=[db])]), Plan("other")]))
    finish(world, "root", "owner")
    assert running(world) == {"db", "other"}
    up(world, "db")
    assert "user" in running(world)
    finish(world, "user")
    assert asked(world) == {"db"}
    stop(world, "db")
    finish(world, "other")
    assert outcome(world) == "succeeded"


def test_a_job_without_users_sees_its_services_start_and_stop() -> None:
    world = World(Plan("root", children=[Plan("owner", services=[service("db")])], follow_ons=[Plan("last")]))
    finish(world, "root", "owner")
    assert running(world) == {"db"}
    up(world, "db")
    assert asked(world) == {"db"} and "last" in running(world)
    stop(world, "db")
    finish(world, "last")
    assert outcome(world) == "succeeded"


def test_a_service_that_does_not_start_is_tried_again() -> None:
    world = World(served(service("db")), policy=QUICK)
    finish(world, "root")
    for _ in range(2):
        world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    assert running(world) == {"db"}
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    assert outcome(world) == "failed"
    assert world.finish is not None and world.finish.stuck == ()
    assert [failed.final for failed in world.failed] == [False, False, True]
    assert names(world.log) == ["root"]


def test_users_wait_while_their_service_is_started_anew() -> None:
    world = World(served(service("db")), policy=QUICK, sizing=Sizing(slots=1, backlog=1))
    finish(world, "root")
    up(world, "db")
    (first,) = {"a", "b"} & running(world)
    second = "b" if first == "a" else "a"
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    finish(world, first)
    assert running(world) == {"db"}, "what has not begun waits; what ran counts"
    up(world, "db")
    assert running(world) == {"db", second}
    finish(world, second)
    stop(world, "db")
    assert outcome(world) == "succeeded"


def test_a_service_that_ends_by_itself_has_failed() -> None:
    world = World(served(service("db")), policy=Policy(tries=1))
    finish(world, "root")
    up(world, "db")
    world.end_service(request_of(world, "db"))
    assert "while it was in use" in world.failed[0].failure.message and world.failed[0].final


def test_running_users_get_to_their_end_when_a_service_failed_for_good() -> None:
    world = World(served(service("db"), service("other")), policy=Policy(tries=1))
    finish(world, "root")
    up(world, "db", "other")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    assert running(world) == {"a", "b", "other"} and not asked(world)
    world.commit(request_of(world, "a"), fails=failing("a"))
    finish(world, "b")
    assert asked(world) == {"other"}, "nothing can go on"
    stop(world, "other")
    assert outcome(world) == "failed"


def test_a_failed_service_is_no_failure_when_all_users_are_done() -> None:
    world = World(served(service("db")), policy=Policy(tries=1))
    finish(world, "root")
    up(world, "db")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    finish(world, "a", "b")
    assert outcome(world) == "succeeded" and not world.graph.failed


@pytest.mark.parametrize("reason", [Reason.PREEMPTED, Reason.NODE_LOST])
def test_a_lost_service_starts_again_without_using_up_a_try(reason: Reason) -> None:
    world = World(served(service("db")), policy=Policy(tries=1))
    finish(world, "root")
    up(world, "db")
    world.lose(request_of(world, "db"), reason)
    assert "db" in running(world)
    up(world, "db")
    finish(world, "a", "b")
    stop(world, "db")
    assert outcome(world) == "succeeded"


def test_what_a_failed_service_used_is_told_where_it_is_known() -> None:
    world = World(served(service("db")), policy=QUICK)
    finish(world, "root")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    up(world, "db")
    world.lose(request_of(world, "db"))
    assert [failed.usage and failed.usage.wall for failed in world.failed] == [0.001, None], "nobody knows what it used until its machine was lost"


def test_a_service_that_ends_without_a_word_uses_up_one_try() -> None:
    world = World(served(service("db")), policy=QUICK)
    finish(world, "root")
    for left in (2, 1):
        world.lose(request_of(world, "db"), Reason.KILLED)
        assert running(world) == {"db"} and world.failed[-1].tries_left == left
    world.lose(request_of(world, "db"), Reason.KILLED)
    assert outcome(world) == "failed" and [failed.final for failed in world.failed] == [False, False, True]


def test_a_new_leader_gives_a_service_all_its_tries_again() -> None:
    world = World(served(service("db")), policy=QUICK)
    finish(world, "root")
    for _ in range(2):
        world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    world.checkpoint()
    world.crash()
    for left in (2, 1):
        world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
        assert running(world) == {"db"} and world.failed[-1].tries_left == left


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        (Reason.CANCELLED, "", None),
        (Reason.CANCELLED, "did not end in time", "did not end in time"),
        (Reason.NODE_LOST, "", Reason.NODE_LOST.value),
        (Reason.KILLED, "signal 9", "signal 9"),
    ],
)
def test_a_service_that_did_not_stop_in_good_order_is_told_of(reason: Reason, message: str, words: str | None) -> None:
    world = World(served(service("db")))
    finish(world, "root")
    up(world, "db")
    finish(world, "a", "b")
    world.lose(request_of(world, "db"), reason, message)
    assert [said.text for said in world.said] == ([] if words is None else [f"the service did not stop in good order: {words}"])
    assert outcome(world) == "succeeded" and not world.failed


def test_a_new_leader_does_not_take_a_service_for_one_that_its_predecessor_asked_to_stop() -> None:
    world = World(served(service("db", service("web"))), policy=QUICK)
    finish(world, "root")
    up(world, "db", "web")
    world.checkpoint()
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "no port"))
    assert asked(world) == {"web"}
    world.crash()
    up(world, "db", "web")
    assert running(world) == {"db", "web", "a", "b"} and not asked(world)
    told = len(world.failed)
    world.end_service(request_of(world, "web"))
    assert [failed.name for failed in world.failed[told:]] == ["web"], "it ended while it was in use"


def test_services_start_anew_with_their_parent() -> None:
    world = World(served(service("db", service("web", service("proxy")))), policy=QUICK)
    finish(world, "root")
    up(world, "db", "web", "proxy")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    assert asked(world) == {"proxy"} and "db" in running(world)
    up(world, "db")
    stop(world, "proxy", "web")
    assert "web" in running(world)
    up(world, "web", "proxy")
    finish(world, "a", "b")
    stop(world, "proxy", "web", "db")
    assert outcome(world) == "succeeded"


def test_a_service_without_leave_to_start_waits_for_its_parent_when_that_fails_meanwhile() -> None:
    world = World(
        Plan("root", children=[Plan("one", services=[service("other")], children=[Plan("x")]), Plan("two", services=[service("db", service("web"))])]),
        limits=Limits(services=2), policy=QUICK,
    )  # fmt: skip
    finish(world, "root", "one", "two")
    up(world, "other", "db")
    assert running(world) == {"other", "db", "x"}, "a third one may not start"
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    assert running(world) == {"other", "db", "x"}, "without it the one after it cannot run"
    up(world, "db")
    finish(world, "x")
    stop(world, "other")
    assert running(world) == {"db", "web"}
    assert world.run().outcome == "succeeded"


def test_what_goes_wrong_while_stopping_is_told_and_no_failure() -> None:
    world = World(served(service("db")))
    finish(world, "root")
    up(world, "db")
    finish(world, "a", "b")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "could not save"))
    assert outcome(world) == "succeeded" and not world.failed
    assert "could not save" in world.said[0].text


def test_a_stop_stops_services_in_order_and_they_start_again_with_the_next_leader() -> None:
    world = World(served(service("db", service("web"))))
    finish(world, "root")
    up(world, "db", "web")
    world.apply(StopAsked())
    assert asked(world) == {"web", "a", "b"}
    for name in "ab":
        world.end(request_of(world, name), Reason.CANCELLED)
    stop(world, "web", "db")
    assert outcome(world) == "interrupted"
    world.checkpoint()
    world.crash()
    assert running(world) == {"db"}
    assert world.run().outcome == "succeeded"


def test_after_a_crash_services_start_again_before_their_users_go_on() -> None:
    world = World(served(service("db")))
    finish(world, "root")
    up(world, "db")
    finish(world, "a")
    world.crash()
    assert running(world) == {"db"}
    up(world, "db")
    assert running(world) == {"db", "b"}
    finish(world, "b")
    stop(world, "db")
    assert outcome(world) == "succeeded" and names(world.log) == ["root", "a", "b"]


def test_users_of_services_go_before_others_of_their_kind() -> None:
    user = Plan("leaf", size=1)
    owner = Plan("owner", adds_services=[service("db")], adds_children=[user])
    world = World(Plan("root", children=[owner, *[Plan("leaf") for _ in range(50)]]), sizing=Sizing(slots=1, backlog=3, most=1))
    finish(world, "root", "owner")
    up(world, "db")
    before = len(world.log)
    while user not in world.log:
        finish(world, "leaf")
    assert len(world.log) - before <= 4


def test_a_worker_does_not_chain_past_services() -> None:
    world = World(served(service("db")), chain=True)
    assert not world.requests[0].chain


def test_a_worker_chains_only_where_that_is_wished() -> None:
    assert [World(Plan(), chain=chain).requests[0].chain for chain in (True, False)] == [True, False]


def test_users_that_run_beside_the_leader_wait_for_their_service_too() -> None:
    user = Plan("user", local=True)
    world = World(Plan("root", services=[service("db")], children=[user]), sizing=Sizing(slots=4, apart=True))
    finish(world, "root")
    assert running(world) == {"db"}
    up(world, "db")
    assert running(world) == {"db", "user"}
    assert world.run().outcome == "succeeded"


# Limits


def test_only_so_many_services_at_a_time() -> None:
    owners = [Plan(f"owner{i}", services=[service(f"db{i}")], children=[Plan(f"user{i}")]) for i in range(3)]
    world = World(Plan("root", children=owners), limits=Limits(services=2))
    finish(world, "root", "owner0", "owner1", "owner2")
    assert len(running(world)) == 2
    assert world.run().outcome == "succeeded"


def test_preemptible_services_have_a_limit_of_their_own() -> None:
    cheap = Requirement(preemptible=True)
    services = [service("dear"), service("cheap", requirement=cheap), service("second", requirement=cheap)]
    world = World(served(*services), limits=Limits(services=1, preemptible=1))
    finish(world, "root")
    assert world.failed[0].name == "second" and "--max-preemptible-service-jobs allows 1" in world.failed[0].failure.message
    world = World(served(*services), limits=Limits(services=1, preemptible=2))
    assert world.run().outcome == "succeeded"


def test_services_of_one_job_that_can_never_run_together_fail_at_once() -> None:
    world = World(served(service("one"), service("two")), limits=Limits(services=1))
    finish(world, "root")
    assert world.failed[0].final and "job 'root' has 2 services" in world.failed[0].failure.message
    world = World(served(service("one"), service("two")), limits=Limits(room=Requirement(cores=1.5)))
    finish(world, "root")
    assert "together need 2 cores; there are 1.5" in world.failed[0].failure.message
    assert "two" not in running(world), "it does not start in vain"


def test_services_that_wait_for_each_other_s_end_are_found_at_once() -> None:
    inner = Plan("inner", services=[service("second")], children=[Plan("user")])
    world = World(Plan("root", services=[service("first")], children=[inner]), limits=Limits(services=1))
    finish(world, "root")
    up(world, "first")
    finish(world, "inner")
    assert asked(world) == {"first"}
    stop(world, "first")
    assert outcome(world) == "failed" and world.finish is not None
    for text in ("--max-service-jobs allows 1", "first 0.", "second 0.", "inner 0."):
        assert text in world.finish.why


def test_a_service_without_leave_to_start_is_found_at_once() -> None:
    world = World(served(service("db")), limits=Limits(services=0))
    finish(world, "root")
    assert outcome(world) == "failed"


def starved(room: Requirement | None) -> World:
    world = World(served(service("db", requirement=Requirement(cores=3))), limits=Limits(room=room, deadlock_wait=60.0))
    world.now = 100.0
    finish(world, "root")
    world.now = 110.0
    up(world, "db")
    return world


def test_only_services_run_and_no_user_fits() -> None:
    world = starved(Requirement(cores=3.5))
    assert world.wake == 160.0
    world.pass_time()
    assert not world.asked and world.wake == 170.0, "from when the service came up"
    world.apply(TimePassed(169.0))
    assert not world.asked
    world.pass_time()
    assert asked(world) == {"db", "a", "b"}
    for request in list(world.open):
        world.move(request, lambda plan: None)
    assert outcome(world) == "failed" and world.finish is not None
    for text in ("db 0.", "a service of root 0.", "a 0.", "1 core; there are 0.5", "beside the services"):
        assert text in world.finish.why
    assert world.graph.complete is False


def test_it_is_no_deadlock_while_a_user_runs() -> None:
    world = starved(Requirement(cores=3.5))
    world.graph.requests[request_of(world, "a")].started = 120.0
    world.pass_time()
    assert not world.asked and world.wake == 220.0
    world.now = 200.0
    finish(world, "a")
    world.pass_time()
    assert not world.asked and world.wake == 260.0, "from the last end on"
    world.pass_time()
    assert asked(world) == {"db", "b"}


def test_a_look_for_a_deadlock_that_is_due_when_no_service_runs_any_more_is_the_last() -> None:
    """Or the leader would look again at once, and for ever (found by a swarm, seed 25)."""
    serving = Plan("serving", services=[service("db")], children=[Plan("user")])
    world = World(Plan("root", children=[serving, Plan("long")]), limits=Limits(deadlock_wait=60.0))
    finish(world, "root", "serving")
    up(world, "db")
    assert world.wake == 60.0
    finish(world, "user")
    stop(world, "db")
    for now in (100.0, 101.0):
        world.wake = 0.0
        world.apply(TimePassed(now))
    assert world.wake == 0.0 and running(world), "nothing but the long job is waited for"


def test_it_is_no_deadlock_where_a_user_fits() -> None:
    world = starved(Requirement(cores=5))
    for _ in range(3):
        world.pass_time()
    assert not world.asked
    finish(world, "a", "b")
    stop(world, "db")
    assert outcome(world) == "succeeded"


def test_where_room_may_come_the_user_is_told_once_and_the_run_goes_on() -> None:
    world = starved(None)
    for _ in range(3):
        world.pass_time()
    assert len(world.said) == 1 and "only services run" in world.said[0].text
    assert not world.asked


def test_a_service_that_gets_no_room_is_found_too() -> None:
    inner = Plan("inner", services=[service("second", requirement=Requirement(cores=2))], children=[Plan("user")])
    world = World(Plan("root", services=[service("first", requirement=Requirement(cores=3))], children=[inner]), limits=Limits(room=Requirement(cores=4)))
    world.now = 100.0
    finish(world, "root")
    up(world, "first")
    finish(world, "inner")
    assert running(world) == {"first", "second"}
    world.pass_time()
    assert asked(world) == {"first", "second"}
    world.end(request_of(world, "second"), Reason.CANCELLED)
    stop(world, "first")
    assert outcome(world) == "failed" and world.finish is not None
    assert "second" in world.finish.why and "2 cores; there are 1" in world.finish.why


@pytest.mark.parametrize("folded", [False, True])
def test_what_a_service_used_is_counted_by_a_new_leader_that_reads_how_it_ended(folded: bool) -> None:
    world = World(served(service("db")))
    world.checkpoint()
    finish(world, "root")
    up(world, "db")
    if folded:
        world.checkpoint()
    finish(world, "a", "b")
    stop(world, "db")
    before = world.graph.tally("db")
    world.crash()
    after = world.graph.tally("db")
    assert (after.total, after.ran, after.wall) == (before.total, before.ran, before.wall) and after.wall > 0


def test_a_service_that_is_about_to_stop_is_no_part_of_a_checkpoint() -> None:
    made = Plan("made")
    user = Plan("user", services=[service("db", needs=[made])], children=[Plan("a")])
    world = World(Plan("root", children=[made], follow_ons=[user]))
    finish(world, "root", "made", "user")
    up(world, "db")
    finish(world, "a")
    assert asked(world) == {"db"}
    copy = Graph(1, world.policy, world.sizing)
    snapshot.restore(copy, snapshot.decode(snapshot.encode(world.graph), ""))
    assert {world.nodes[id].plan.name for id in copy.jobs} == {"root"}  # what only the service needed is forgotten too
    assert copy.complete and not copy.requests and not copy.services.members
    assert (copy.tallies["db"].total, copy.tallies["db"].ran) == (1, 1)


def test_what_a_service_used_is_counted_when_it_has_stopped() -> None:
    world = World(served(service("db")))
    finish(world, "root")
    up(world, "db")
    assert world.graph.tallies["db"].ran == 0
    finish(world, "a", "b")
    stop(world, "db")
    assert (world.graph.tallies["db"].ran, world.graph.tallies["db"].wall) == (1, 0.001)


def test_a_service_that_waits_for_a_value_still_does_after_a_restart() -> None:
    slow = Plan("slow")
    owner = Plan("owner", services=[service("db", needs=[slow])], children=[Plan("a")])
    world = World(Plan("root", children=[slow, owner]))
    finish(world, "root", "owner")
    assert running(world) == {"slow"}
    world.checkpoint()
    world.crash()
    assert running(world) == {"slow"}
    finish(world, "slow")
    assert running(world) == {"db"}
    up(world, "db")
    finish(world, "a")
    stop(world, "db")
    assert outcome(world) == "succeeded"


@pytest.mark.parametrize(
    ("memory", "words"), [(3 << 30, "3 GiB of memory; there are 2 GiB"), (3 << 40, "3 TiB of memory; there are 2 GiB"), (2 << 30, "")]
)
def test_what_is_lacking_is_said_with_units(memory: int, words: str) -> None:
    assert lacks(Requirement(memory=2 << 30), [Requirement(memory=memory)]) == words


def test_what_is_lacking_is_what_all_need_together() -> None:
    room = Requirement(cores=4.0, memory=1 << 30, disk=5 << 20)
    assert lacks(room, [Requirement(cores=2.0, memory=1, disk=1)] * 2) == ""
    assert lacks(room, [Requirement(cores=2.5, memory=1, disk=1)] * 2) == "5 cores; there are 4"
    assert lacks(room, [Requirement(cores=1.0, memory=1, disk=3 << 10)] * 2000) == "2000 cores; there are 4"
    assert lacks(room, [Requirement(cores=0.0, memory=1, disk=3 << 20)] * 2) == "6 MiB of disk; there are 5 MiB"
    assert lacks(Requirement(disk=1000), [Requirement(disk=2048)]) == "2 KiB of disk; there are 1000 B"


def test_nobody_is_asked_for_services_while_none_is_lacking() -> None:
    world = World(served(service("db")), policy=QUICK)
    finish(world, "root")
    assert world.graph.issuer.gate is not None
    up(world, "db")
    assert world.graph.issuer.gate is None
    world.lose(request_of(world, "db"))
    assert world.graph.issuer.gate is not None
    up(world, "db")
    assert world.graph.issuer.gate is None
    finish(world, "a", "b")
    assert world.graph.issuer.gate is None


def test_a_service_does_not_start_before_its_job_ran_though_its_value_is_there() -> None:
    producer = Plan("producer")
    owner = Plan("owner", services=[service("db", needs=[producer])], children=[Plan("user")])
    world = World(Plan("root", children=[producer, owner]))
    finish(world, "root", "producer")
    assert running(world) == {"owner"}
    finish(world, "owner")
    assert running(world) == {"db"}
    up(world, "db")
    assert running(world) == {"db", "user"}


def test_services_are_no_part_of_the_backlog() -> None:
    users = [Plan(f"user{number}") for number in range(4)]
    world = World(Plan("root", services=[service("db"), service("cache")], children=users), policy=QUICK, sizing=Sizing(slots=None, backlog=1))
    finish(world, "root")
    up(world, "db", "cache")
    assert len(world.open) == 3
    for _ in range(2):
        world.lose(request_of(world, "db"))
        up(world, "db")
    assert len(world.open) == 3, "that a service ended makes no room for others"
    assert world.run().outcome == "succeeded"


def test_what_just_fits_lacks_nothing_however_it_is_added_up() -> None:
    assert lacks(Requirement(cores=0.3), [Requirement(cores=0.1)] * 3) == "", "which make a little more than 0.3"
    assert lacks(Requirement(cores=0.3), [Requirement(cores=0.1001)] * 3) == "0.3003 cores; there are 0.3"


def test_a_service_that_a_new_leader_started_is_in_use_as_any_other() -> None:
    world = World(served(service("db"), service("cache")), policy=QUICK)
    finish(world, "root")
    up(world, "db", "cache")
    world.checkpoint()
    world.crash()
    up(world, "db", "cache")
    world.lose(request_of(world, "cache"))
    assert not asked(world), "one that failed stops no other"
    up(world, "cache")
    world.end_service(request_of(world, "db"))
    assert [failed.failure.message for failed in world.failed][-1] == "the service ended while it was in use"
    up(world, "db")
    assert world.run().outcome == "succeeded"


def test_a_checkpoint_tells_no_failure_of_a_service_that_nobody_needs_any_more() -> None:
    world = World(served(service("db")), policy=Policy(backoff=0.0))
    finish(world, "root")
    up(world, "db")
    world.end_service(request_of(world, "db"), Failure(Reason.FAILED, "crashed"))
    finish(world, "a", "b")  # while it starts again
    assert asked(world) == {"db"}
    saved = snapshot.decode(snapshot.encode(world.graph), "it")
    known = {id for part in saved.parts for id in part.ids}
    assert world.graph.failures and not set(saved.failures) - known
