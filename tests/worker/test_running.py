from __future__ import annotations

import msgspec
import pytest

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.wire.jobs import Kind, NewJob, Ref, Result
from toil_core.wire.work import Task, Work
from toil_core.worker.running import Running, fits

KIND = Kind("k", Requirement(cores=1, memory=100, disk=100))


def running(*tasks: Task, chain: bool = False, kind: Kind = KIND) -> Running:
    return Running(1, Work("1-1", "file:x", "setup/1", (kind,), tasks, chain), kind.requirement, {})


def result(job: str, value: bytes = b"", **more: object) -> bytes:
    return msgspec.msgpack.encode(Result(job, (0, len(value)), 0, **more))  # type: ignore[arg-type]


def test_tasks_go_out_once_and_wait_for_those_before_them() -> None:
    request = running(Task("a", 0, b"A"), Task("b", 0, b"B", after=0), Task("c", 0, b"C"))
    assert [spec.index for spec in request.batch().specs] == [0, 2]
    request.ended(0, (result("a", b"va"), b"va", Usage()), ok=True)
    assert not request.over
    request.ended(2, (result("c"), b"", Usage()), ok=True)
    (spec,) = request.batch().specs
    assert spec.task.values == (("a", b"va"),)
    request.ended(1, (result("b"), b"", Usage()), ok=True)
    assert request.over


def test_references_become_bytes() -> None:
    good, bad = Ref("k", 0, 1, 0), Ref("k", 1, 2, 0)
    request = running(Task("a", 0, good, (("x", good),)), Task("b", 0, b"", (("x", bad),)))
    assert request.refs() == [good, good, bad]
    assert request.resolve({good: b"!", bad: "gone"}) == [(1, "gone")]
    assert request.tasks[0] == Task("a", 0, b"!", (("x", b"!"),))


def successor(kind: Kind = KIND, needs: tuple[str, ...] = ("a",), **more: object) -> tuple[bytes, bytes, Usage]:
    new = NewJob("b", 0, (1, 2), 0, needs)
    made = {"kinds": (kind,), "jobs": (new,), "children": ("b",), **more}
    return result("a", b"v", **made), b"vB", Usage()


def test_the_only_successor_goes_on_in_place() -> None:
    request = running(Task("a", 0, b"A", (("z", b"vz"),)), chain=True)
    request.batch()
    request.ended(0, successor(needs=("a", "z")), ok=True)
    assert request.chained == "b" and not request.over
    batch = request.batch()
    assert batch.specs[0].kind == 1
    assert batch.specs[0].task == Task("b", 1, b"B", (("z", b"vz"), ("a", b"v")))


@pytest.mark.parametrize(
    "other",
    [
        successor(kind=Kind("k", Requirement(cores=2))),
        successor(kind=Kind("k", Requirement(memory=101))),
        successor(kind=Kind("k", Requirement(), isolated=False)),
        successor(needs=("elsewhere",)),
        successor(value_needs=("b",)),
        successor(children=()),
        successor(jobs=(NewJob("b", 0, (1, 2), 0), NewJob("c", 0, (1, 2), 0)), children=("b", "c")),
    ],
)
def test_other_successors_go_to_the_leader(other: tuple[bytes, bytes, Usage]) -> None:
    request = running(Task("a", 0, b"A"), chain=True)
    request.batch()
    request.ended(0, other, ok=True)
    assert request.chained == "" and request.over


def test_a_preemptible_place_is_not_for_everyone() -> None:
    spot = Requirement(preemptible=True)
    assert not fits(Kind("k", Requirement()), spot)
    assert fits(Kind("k", spot), Requirement()) and fits(Kind("k", spot), spot)


def test_abandoned_requests_start_nothing() -> None:
    request = running(Task("a", 0, b"A"), Task("b", 0, b"B"))
    request.abandon(Reason.CANCELLED, "")
    request.abandon(Reason.FAILED, "later")
    assert request.over and request.ending == (Reason.CANCELLED, "")
