"""Nodes that die, hang, join late, are drained or taken away; leaders that die."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from toil_core.batch_system import Reason, Requirement
from toil_core.testing.runners import await_death, body, kind
from toil_core.waiting_line import PATIENCE

from toil_dask.connection import LosableClient
from toil_dask.placement import Placement
from toil_dask.testing import HOST, SECONDS, Here


def test_a_killed_node_is_lost_at_once_and_dask_does_not_run_its_work_again(with_one: Here) -> None:
    here, one = with_one, "one"
    id, pid = here.waiting("it")
    here.add("two")
    here.cluster.kill(one)
    update = here.end(id)
    assert update.reason is Reason.NODE_LOST and "one" in update.message and update.node == "one"
    await_death(pid, SECONDS)
    Path(here.run.path("started-it")).unlink()
    here.run.values(here.run.request(body("nothing")), here.run.request(body("nothing")))
    assert not Path(here.run.path("started-it")).exists()


def test_a_node_that_hangs_is_lost_and_cannot_commit_when_it_wakes(with_one: Here) -> None:
    here, one = with_one, "one"
    id, _ = here.waiting("it")
    here.cluster.signal(one, signal.SIGSTOP)
    assert here.end(id).reason is Reason.NODE_LOST
    here.cluster.signal(one, signal.SIGCONT)  # it finds itself without a scheduler, ends what it runs, and joins again
    here.cluster.await_worker(one)
    here.run.values(here.run.request(body("nothing")))


def test_work_waits_for_a_node_that_joins_late(here: Here) -> None:
    request = here.run.request(body("give", "late"))
    here.system.submit([request])
    assert here.system.updates(0.2) == []
    here.add("one")
    here.run.ends([request])
    assert [value for _, value, _ in here.run.results(request)] == [b"late"]


def test_what_fits_on_no_present_node_waits_for_a_larger_one(with_one: Here, caplog: pytest.LogCaptureFixture) -> None:
    here = with_one
    large = here.run.request(body("nothing"), of=kind("large", cores=3))
    here.system.submit([large])
    here.run.values(here.run.request(body("nothing")))
    assert large.id not in here.run.updates
    assert "large asks for 3 cores; the largest node has 2; it waits until a larger node joins" in caplog.text
    here.add("two", cores=4)
    (update,) = here.run.ends([large])
    assert update.reason is None and update.node == "two"


def test_nodes_are_drained_and_their_loads_told(with_one: Here) -> None:
    here = with_one
    id, _ = here.waiting("it")
    assert here.system.loads() == {HOST: 1}
    here.system.drain([HOST, "10.1.2.3"])
    later = here.run.request(body("nothing"))
    here.system.submit([later])
    Path(here.run.path("go-it")).touch()
    assert here.end(id).reason is None
    assert here.system.loads() == {HOST: 0} and later.id not in here.run.updates
    here.add("two")  # nodes that join later are not drained
    here.run.ends([later])


def test_a_drained_node_stays_so_when_the_scheduler_is_back(with_one: Here) -> None:
    here = with_one
    id, _ = here.waiting("it")
    here.system.drain([HOST])
    here.cluster.kill("leader")
    assert here.end(id).reason is Reason.NODE_LOST
    here.cluster.start_scheduler()
    here.await_node("one")
    later = here.run.request(body("nothing"))
    here.system.submit([later])
    here.add("two")
    assert here.run.ends([later])[0].node == "two"


def test_a_node_that_will_be_taken_away_gets_nothing_more_and_counts_as_preempted(here: Here) -> None:
    spot = here.add("spot", preemptible=True)
    finishing, _ = here.waiting("short", preemptible=True)
    lost, _ = here.waiting("long", preemptible=True)
    here.cluster.signal(spot, signal.SIGUSR1)
    while not here.system._leader._nodes or not all(node.preempted for node in here.system._leader._nodes.values()):
        here.system.updates(0.05)
    later = here.run.request(body("nothing"), of=kind(preemptible=True))
    here.system.submit([later])
    Path(here.run.path("go-short")).touch()
    assert here.end(finishing).reason is None
    here.cluster.kill(spot)
    assert here.end(lost).reason is Reason.PREEMPTED
    here.add("other")
    here.run.ends([later])
    assert here.run.updates[later.id][-1].node == "other"


def test_what_may_not_be_preempted_waits_for_a_node_that_stays(here: Here) -> None:
    here.add("spot", preemptible=True)
    request = here.run.request(body("nothing"))
    here.system.submit([request])
    here.run.values(here.run.request(body("nothing"), of=kind(preemptible=True)))
    assert request.id not in here.run.updates
    here.add("safe")
    assert here.run.ends([request])[0].node == "safe"


def test_a_cancelled_request_that_waits_in_dask_is_told_too(with_one: Here) -> None:
    """Another leader holds the node; Dask counts what both hold."""
    here = with_one
    id, _ = here.waiting("it", cores=1.9)
    other = here.other()
    with other.system:
        other.await_node("one")
        request = other.run.request(body("once", here.run.path("ran")), of=kind(cores=1.9))
        small = other.run.request(body("nothing"), of=kind(cores=0.05))
        other.system.submit([small, request])  # in this order: on a node, Dask lets nothing pass what waits for resources
        other.run.ends([small])
        assert request.id not in other.run.updates
        other.system.cancel([request.id])
        assert other.end(request.id).reason is Reason.CANCELLED
        Path(here.run.path("go-it")).touch()
        assert here.end(id).reason is None
        other.run.values(other.run.request(body("nothing"), of=kind(cores=1.9)))
        assert not Path(here.run.path("ran")).exists()


def test_what_is_cancelled_before_dask_knows_it_ends_without_ever_running(with_one: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another leader holds the node, so that it does not begin, and is not cancelled for that."""
    here = with_one
    id, _ = here.waiting("it", cores=1.9)
    other = here.other()
    with other.system:
        other.await_node("one")
        requests = [other.run.request(body("once", here.run.path("ran")), of=kind(cores=0.6)) for _ in range(3)]
        leader = other.system._leader
        other.system._news.new(requests)

        def submitted_and_cancelled() -> None:
            leader._submit(requests)
            leader._place_now()
            with monkeypatch.context() as unheard:  # Dask leaves out what it does not know, as it does when it is busy
                unheard.setattr(leader, "_drop", lambda flights: None)
                leader._cancel([request.id for request in requests])

        leader._ask(submitted_and_cancelled)
        assert {update.reason for update in other.run.ends(requests)} == {Reason.CANCELLED}
        Path(here.run.path("go-it")).touch()
        assert here.end(id).reason is None
        other.run.values(other.run.request(body("nothing"), of=kind(cores=1.9)))
        assert not Path(here.run.path("ran")).exists()


def test_cancelling_while_dask_takes_the_request_in(with_one: Here) -> None:
    here = with_one
    requests = [here.run.request(body("wait", here.run.path(f"s{n}"), here.run.path("never"))) for n in range(30)]
    here.system.submit(requests)
    here.system.cancel([request.id for request in requests])
    assert {update.reason for update in here.run.ends(requests)} == {Reason.CANCELLED}
    here.run.values(here.run.request(body("nothing"), of=kind(cores=2)))


LEADER = """
import sys
from pathlib import Path
from typing import Any
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import body
from toil_core.options import Config
from toil_dask.batch_system import Dask
from toil_dask.connection import Target

scheduler, ca, cert, key, folder = sys.argv[1:]
system = Dask(Config(), Target(scheduler, {"tls_ca_file": ca, "tls_cert_file": cert, "tls_key_file": key}, 30.0))
run = Run(system, Path(folder), 60.0)
system.submit([run.request(body("ignore signals", run.path("started"), run.path("never")))])
run.await_file(run.path("started"))
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_work_of_a_leader_that_dies_is_ended(with_one: Here, tmp_path: Path, number: int) -> None:
    here = with_one
    folder = tmp_path / "dying"
    folder.mkdir()
    command = [sys.executable, "-c", LEADER, here.cluster.scheduler, *here.cluster.target.files.values(), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as leader:
        assert leader.stdout is not None and leader.stdout.readline() == b"up\n"
        leader.send_signal(number)
    await_death(int((folder / "started").read_text()), SECONDS)
    here.run.values(here.run.request(body("nothing"), of=kind(cores=2)))


def test_a_later_leader_ends_what_an_earlier_one_left(with_one: Here) -> None:
    """The earlier one hangs, so Dask does not see that it is gone."""
    here = with_one
    id, pid = here.waiting("it")
    later = here.other()
    with later.system:
        later.await_node("one")
        request = here.run.request(body("nothing"))

        from toil_core.wire import work

        newer = "2-" + request.id.partition("-")[2]
        record = msgspec.structs.replace(work.decode_work(request.work), request=newer)
        later.system.submit([msgspec.structs.replace(request, id=newer, work=work.encode(record))])
        await_death(pid, SECONDS)
        assert later.end(newer).reason is None
        assert here.end(id).reason is Reason.CANCELLED


def test_a_large_request_does_not_wait_in_dask_before_smaller_ones_where_another_leader_is_busy(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.add("wide", 4)
    known = others_hold(monkeypatch, 3)
    other = here.other()
    with other.system:
        other.await_node("wide")
        held, _ = other.waiting("held", cores=3)
        assert known.wait(SECONDS)
        large = here.run.request(body("give", "large"), of=kind(cores=2))
        here.system.submit([large])
        here.run.values(here.run.request(body("nothing")))
        assert large.id not in here.run.updates, "it waits for the other leader"
        Path(other.run.path("go-held")).touch()
        assert other.end(held).reason is None
        assert here.end(large.id).reason is None


def test_a_leader_that_comes_later_and_goes_is_counted_with(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here.add("wide", 4)
    known = others_hold(monkeypatch, 3)
    held, _ = here.waiting("held", cores=3)
    other = here.other()
    with other.system:
        other.await_node("wide")
        assert known.wait(SECONDS)
        large = other.run.request(body("give", "large"), of=kind(cores=2))
        other.system.submit([large])
        other.run.values(other.run.request(body("nothing")))
        assert large.id not in other.run.updates
        other.waiting("more")
        Path(here.run.path("go-held")).touch()
        assert here.end(held).reason is None
        assert other.end(large.id).reason is None
    here.run.values(here.run.request(body("nothing"), of=kind(cores=4)))


def test_two_workflows_with_services_and_large_jobs_do_not_keep_each_others_users_from_their_turn(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """No large job fits beside both services; were one sent to wait on the node, nothing would ever pass it there."""
    here.add("wide", 4)
    known = others_hold(monkeypatch, 1, leaders=2)
    other = here.other()
    with other.system:
        other.await_node("wide")
        sides = [here, other]
        services = [side.waiting("service", cores=1, lasting=True)[0] for side in sides]
        assert known.wait(SECONDS)
        larges = [side.run.request(body("nothing"), of=kind("large", cores=3)) for side in sides]
        for side, large in zip(sides, larges, strict=True):
            side.system.submit([large])
        for side in sides:
            side.run.values(*[side.run.request(body("nothing"), of=kind(cores=2)) for _ in range(2 * PATIENCE)])
        for side, service in zip(sides, services, strict=True):
            assert not any(large.id in side.run.updates for large in larges)
            Path(side.run.path("go-service")).touch()
            assert side.end(service).reason is None
        for side, large in zip(sides, larges, strict=True):
            assert side.end(large.id).reason is None


def others_hold(monkeypatch: pytest.MonkeyPatch, cores: float, leaders: int = 1) -> threading.Event:
    """Set when so many leaders know that other leaders hold so many cores of a node."""
    occupy, known = Placement.occupy, threading.Event()
    knowing: set[Placement] = set()

    def occupying(placement: Placement, node: str, held: Requirement, lasting: Requirement) -> None:
        occupy(placement, node, held, lasting)
        if held.cores == cores:
            knowing.add(placement)
        if len(knowing) == leaders:
            known.set()

    monkeypatch.setattr(Placement, "occupy", occupying)
    return known


def test_a_scheduler_that_dies_costs_what_ran_and_is_found_again(with_one: Here) -> None:
    here = with_one
    id, pid = here.waiting("it")
    here.cluster.kill("leader")
    assert here.end(id).reason is Reason.NODE_LOST
    await_death(pid, SECONDS)
    later = here.run.request(body("give", "later"))
    here.system.submit([later])
    here.cluster.start_scheduler()
    here.run.ends([later])
    assert here.run.updates[later.id][-1].reason is None


# What is sent


def test_the_next_request_goes_ahead_of_letting_the_last_one_go(with_one: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Dask holds the request back, as it does all that follows upon a message."""
    monkeypatch.setattr("toil_dask.spent.IDLE_SECONDS", 3600.0)
    sent = sent_to_the_scheduler(monkeypatch)
    here = with_one
    here.run.values(here.run.request(body("nothing")))
    here.run.values(here.run.request(body("nothing")))
    wanted = [op for op in sent if op in ("update-graph", "client-releases-keys")]
    assert wanted == ["update-graph", "update-graph", "client-releases-keys"]


def test_the_last_request_is_let_go_though_nothing_follows(with_one: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    sent_to_the_scheduler(monkeypatch, lambda op: released.set() if op == "client-releases-keys" else None)
    here = with_one
    here.run.values(here.run.request(body("nothing")))
    assert released.wait(SECONDS)


def sent_to_the_scheduler(monkeypatch: pytest.MonkeyPatch, told: Callable[[str], None] = lambda op: None) -> list[str]:
    """What clients send from now on, as it comes."""
    send, ops = LosableClient._send_to_scheduler, []

    def sending(client: LosableClient, message: dict[str, Any]) -> None:
        ops.append(message["op"])
        told(message["op"])
        send(client, message)

    monkeypatch.setattr(LosableClient, "_send_to_scheduler", sending)
    return ops
