"""Files that go by themselves: when their job and all below it is done, and nobody waits for its value."""

from __future__ import annotations

from tests.leader.world import Plan, World, state_of
from toil_core.batch_system import Reason
from toil_core.leader import snapshot
from toil_core.leader.graph import Graph
from toil_core.wire.jobs import Failure


def world_of(*plans: Plan, **more: object) -> World:
    return World(Plan("root", children=list(plans)), **more)  # type: ignore[arg-type]


def step(world: World, name: str) -> None:
    """Let the named job run."""
    request = next(id for id, tasks in world.open.items() if world.nodes[tasks[0].job].plan.name == name)
    world.commit(request)


def test_they_stay_while_anything_below_the_job_runs() -> None:
    last = Plan("last")
    writer = Plan("writer", temporary=("files/a", "files/b"), adds_children=[Plan("child")], adds_follow_ons=[last])
    world = world_of(writer)
    for name in ("root", "writer", "child"):
        step(world, name)
        assert world.deleted == []
    step(world, "last")
    assert world.deleted == ["files/a", "files/b"]


def test_they_stay_while_somebody_waits_for_the_value() -> None:
    writer = Plan("writer", temporary=("files/a",))
    user = Plan("user", needs=[writer])
    world = world_of(writer, user)
    step(world, "root")
    step(world, "writer")
    assert world.deleted == []
    step(world, "user")
    assert world.deleted == ["files/a"]


def test_a_value_that_is_passed_on_keeps_them() -> None:
    writer = Plan("writer", temporary=("files/a",))
    middle = Plan("middle", adds_children=[writer], promises=[writer])
    user = Plan("user", needs=[middle])
    world = world_of(middle, user)
    for name in ("root", "middle", "writer"):
        step(world, name)
        assert world.deleted == []
    step(world, "user")
    assert world.deleted == ["files/a"]


def test_an_attempt_that_failed_has_none() -> None:
    world = world_of(Plan("writer", temporary=("files/a",)))
    failures = [Failure(Reason.FAILED, "no")]
    world.run(lambda plan: failures.pop() if plan.name == "writer" and failures else None)
    assert world.deleted == ["files/a"]


def test_a_new_leader_knows_them() -> None:
    world = world_of(Plan("writer", temporary=("files/a",), adds_children=[Plan("child")]))
    step(world, "root")
    step(world, "writer")
    world.checkpoint()
    restored = Graph(1, world.policy, world.sizing)
    snapshot.restore(restored, snapshot.decode(world.saved, "checkpoint"))
    assert state_of(restored)["jobs"] == state_of(world.graph)["jobs"]
    world.crash()
    world.run()
    assert world.deleted == ["files/a"]


def test_a_leader_that_died_before_it_folded() -> None:
    world = world_of(Plan("writer", temporary=("files/a",), adds_children=[Plan("child")]))
    step(world, "root")
    step(world, "writer")
    world.crash()
    world.run()
    assert world.deleted == ["files/a"]


def test_below_a_checkpoint_job_they_stay_until_that_is_done() -> None:
    writer = Plan("writer", temporary=("files/a",))
    point = Plan("point", checkpoint=True, adds_children=[writer, Plan("other")], temporary=("files/p",))
    world = world_of(point)
    for name in ("root", "point", "writer"):
        step(world, name)
        assert world.deleted == []
    step(world, "other")
    assert sorted(world.deleted) == ["files/a", "files/p"]


def test_what_is_dropped_and_run_again_deletes_once() -> None:
    writer = Plan("writer", temporary=("files/a",))
    point = Plan("point", checkpoint=True, adds_children=[writer, Plan("fails", tries=1)])
    world = world_of(point)
    for name in ("root", "point", "writer"):
        step(world, name)
    (request,) = world.open
    world.commit(request, fails=lambda plan: Failure(Reason.FAILED, "no"))
    assert world.deleted == []
    world.run()
    assert world.runs[point] == world.runs[writer] == 2
    assert world.deleted == ["files/a"]
