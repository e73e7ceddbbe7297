from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from toil_core.cluster.answering import TURNS, Answer, answers
from toil_core.cluster.phases import MOST
from toil_core.errors import HostKeyChanged, KeyRefused, Transient
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport


class Asked(SyncTransport):
    """A way into nodes that tells who is asked.

    Args:
        answer: Called for each command; raises what the transport shall raise.
    """

    def __init__(self, answer: Callable[[str, float | None], object]) -> None:
        self._answer = answer

    def run(self, node: Node, command: Sequence[str], stdin: bytes = b"", timeout: float | None = None) -> CompletedProcess[bytes]:
        self._answer(node.name, timeout)
        return CompletedProcess(list(command), 0, b"", b"")

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        raise AssertionError("nothing is to be copied")

    def pull(self, node: Node, source: PurePosixPath, target: Path, *, delete: bool = False) -> None:
        raise AssertionError("nothing is to be copied")


def nodes(number: int) -> list[Node]:
    return [Node(f"worker-{each}", "small", "worker") for each in range(number)]


def test_who_says_nothing_is_unreachable_and_who_refuses_a_key_is_up() -> None:
    said = {"worker-1": Transient("no word"), "worker-2": KeyRefused("not with this key"), "worker-3": HostKeyChanged("another host")}

    def answer(name: str, timeout: float | None) -> None:
        assert timeout == 4
        if name in said:
            raise said[name]

    assert answers(Asked(answer), nodes(4), 4) == {
        "worker-0": Answer("up"),
        "worker-1": Answer("unreachable", "no word"),
        "worker-2": Answer("up", "not with this key"),
        "worker-3": Answer("unreachable", "another host"),
    }


def test_those_that_say_nothing_are_waited_for_together() -> None:
    all_at_once = threading.Barrier(MOST)

    def answer(name: str, timeout: float | None) -> None:
        all_at_once.wait(60)  # is broken, and fails the test, if they come one after the other
        raise Transient("no word")

    assert set(answers(Asked(answer), nodes(MOST), 60).values()) == {Answer("unreachable", "no word")}


def test_no_more_are_asked_when_too_many_say_nothing() -> None:
    ticks, asked = count(0, 10), []

    def answer(name: str, timeout: float | None) -> None:
        asked.append(name)

    found = answers(Asked(answer), nodes(10), 10, clock=lambda: next(ticks))  # each look at the clock is an answer's limit later
    assert len(asked) == TURNS
    assert sorted(answer.state for answer in found.values()) == ["not asked"] * (10 - TURNS) + ["up"] * TURNS
