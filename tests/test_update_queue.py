from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from toil_core.batch_system import Request, Requirement, State, Update
from toil_core.update_queue import UpdateQueue


def request(id: str) -> Request:
    return Request(id, "test", Requirement(), b"")


def update(id: str) -> Update:
    return Update(id, State.ENDED)


def test_a_request_is_new_once() -> None:
    queue = UpdateQueue()
    assert [each.id for each in queue.new([request("a"), request("b"), request("a")])] == ["a", "b"]
    assert [each.id for each in queue.new([request("b"), request("c")])] == ["c"]
    queue.close()
    assert queue.closed and queue.new([request("d")]) == []


def test_updates_are_taken_once_and_in_order() -> None:
    queue = UpdateQueue()
    for id in "abc":
        queue.tell(update(id))
    assert [each.id for each in queue.take()] == ["a", "b", "c"]
    assert queue.take(0) == []


def test_who_waits_is_woken_by_an_update_a_failure_and_the_end() -> None:
    queue = UpdateQueue()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.take)
        queue.tell(update("a"))
        assert waiting.result(30) == [update("a")]
        waiting = pool.submit(queue.take)
        queue.fail(OSError("gone"))
        with pytest.raises(OSError, match="gone"):
            waiting.result(30)
        other = UpdateQueue()
        waiting = pool.submit(other.take)
        other.close()
        assert waiting.result(30) == []


def test_what_was_told_before_a_failure_is_taken_first() -> None:
    queue = UpdateQueue()
    queue.tell(update("a"))
    queue.fail(OSError("gone"))
    assert queue.take() == [update("a")]
    with pytest.raises(OSError, match="gone"):
        queue.take()
