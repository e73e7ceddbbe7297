from __future__ import annotations

from itertools import count

from toil_core.batch_system import Accelerator, Request, Requirement
from toil_core.drivers.packing import Packing
from toil_core.waiting_line import PATIENCE

_ids = count()


def request(*, lasting: bool = False, **needs: object) -> Request:
    return Request(f"r{next(_ids)}", "r", Requirement(**{"cores": 1, **needs}), b"", lasting=lasting)  # type: ignore[arg-type]


def started(packing: Packing) -> list[str]:
    return [request.id for request, _ in packing.start()]


def test_requests_share_cores_memory_and_disk() -> None:
    packing = Packing(Requirement(2, 100, 100))
    requests = [request(cores=0.5, memory=40), request(cores=0.5, memory=40), request(cores=0.5, memory=40), request(cores=0.5, disk=100)]
    for each in requests:
        packing.add(each)
    assert started(packing) == [requests[0].id, requests[1].id, requests[3].id]
    assert started(packing) == []
    packing.release(requests[0].id)
    assert started(packing) == [requests[2].id]


def test_fractions_of_cores_fill_the_machine() -> None:
    packing = Packing(Requirement(1, 0, 0))
    requests = [request(cores=0.1) for _ in range(11)]
    for each in requests:
        packing.add(each)
    assert len(started(packing)) == 10


def test_a_large_request_is_overtaken_but_not_for_ever() -> None:
    packing = Packing(Requirement(2, 0, 0))
    busy, large = request(cores=1), request(cores=2)
    packing.add(busy)
    packing.add(large)
    small = [request(cores=1) for _ in range(3 * PATIENCE)]
    for each in small:
        packing.add(each)
    order = started(packing)
    running = [id for id in order if id != busy.id]
    while large.id not in order:
        packing.release(running.pop(0) if running else busy.id)
        new = started(packing)
        order += new
        running += new
        assert len(order) <= len(small) + 2
    assert order.index(large.id) == PATIENCE + 1


def test_a_large_request_waits_for_no_service_and_nobody_waits_for_it() -> None:
    packing = Packing(Requirement(2, 0, 0))
    service, large = request(lasting=True), request(cores=2)
    packing.add(service)
    packing.add(large)
    assert started(packing) == [service.id]
    for _ in range(2 * PATIENCE):
        packing.add(user := request())
        assert started(packing) == [user.id]
        packing.release(user.id)
    packing.release(service.id)
    assert started(packing) == [large.id]


def test_what_can_never_fit_is_named() -> None:
    packing = Packing(Requirement(2, 1 << 30, 1 << 30), scale=2)
    assert packing.refusal(Requirement(1)) == ""
    assert packing.refusal(Requirement(1.5)) == "asks for 1.5 cores (times the scale of 2); this machine has 2"
    assert packing.refusal(Requirement(1, 2 << 30)) == "asks for 2 GiB of memory; this machine has 1 GiB"
    assert packing.refusal(Requirement(1, 0, 3 << 30)) == "asks for 3 GiB of disk; this machine has 1 GiB"
    assert packing.refusal(Requirement(1, accelerators=(Accelerator(1),))) == "asks for 1 accelerator; this machine has 0"
    assert "tpu" in packing.refusal(Requirement(1, accelerators=(Accelerator(1, "tpu"),)))


def test_accelerators_are_given_one_by_one() -> None:
    packing = Packing(Requirement(4, 0, 0, accelerators=(Accelerator(2),)))
    requests = [request(accelerators=(Accelerator(1),)) for _ in range(3)]
    for each in requests:
        packing.add(each)
    assert [(each.id, gpus) for each, gpus in packing.start()] == [(requests[0].id, (0,)), (requests[1].id, (1,))]
    packing.release(requests[1].id)
    assert [(each.id, gpus) for each, gpus in packing.start()] == [(requests[2].id, (1,))]


def test_a_waiting_request_can_be_removed() -> None:
    packing = Packing(Requirement(1, 0, 0))
    first, second = request(), request()
    packing.add(first)
    packing.add(second)
    assert packing.remove(first.id) and not packing.remove(first.id)
    assert started(packing) == [second.id]
