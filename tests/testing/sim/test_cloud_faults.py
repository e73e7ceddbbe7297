"""Each fault of the simulated cloud matters: who keeps a cluster's workers up and lacks the answer to one is told so, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.testing.sim.test_provisioner import C, SimulatedWait, local
from toil_core import sync_transport
from toil_core.cluster import listing, scaling
from toil_core.cluster.wanted import Offer, Workers
from toil_core.errors import Transient
from toil_core.provisioner import Node, NodeRequest
from toil_core.sync_transport import SyncTransport
from toil_core.testing.sim.broken import Broken, need
from toil_core.testing.sim.chance import Chance, Fault
from toil_core.testing.sim.clock import Clock
from toil_core.testing.sim.provisioner import MACHINE_FAULTS, SimulatedCloud, SimulatedProvisioner
from toil_core.testing.sim.transport import SimulatedTransport

WANTED = 2
STEP, BOOT, END = 10.0, 240.0, 5400.0
"""Seconds between two looks, until a machine has to answer, and until all has to be well."""
Patch = Callable[[pytest.MonkeyPatch], None]


class Keeper:
    """Keeps that many workers up with what the engine has for it, and checks after each look that it may do what it does.

    Args:
        faults: What goes wrong with the cloud.
        folder: Where the nodes are.
    """

    def __init__(self, faults: Sequence[Fault], folder: Path) -> None:
        self.clock = Clock()
        self.cloud = SimulatedCloud(self.clock, Chance(1, {}, faults))
        self.provisioner = SimulatedProvisioner(self.cloud)
        self.transport = SimulatedTransport(self.cloud, local(folder))
        self.folder = folder / "nodes"
        self.up: set[str] = set()
        self.used: dict[str, None] = {}

    def run(self) -> None:
        """Look again and again.

        Raises:
            Broken: An invariant does not hold.
        """
        begun = self.clock.now
        self.provisioner.prepare(C)
        while self.clock.now < begun + END:
            with suppress(Transient):
                self.look()
            staying = [machine for machine in self.cloud.of(C) if self.cloud.notice(machine) is None]
            need(len(staying) <= WANTED, f"{len(staying)} machines are paid for; {WANTED} are wanted")
            self.clock.wait(STEP)
        answering = [machine for machine in self.cloud.of(C) if self.reachable(machine.node)]
        need(len(answering) == WANTED, f"{len(answering)} workers answer in the end; {WANTED} are wanted")

    def look(self) -> None:
        """What is there, what is missing, and where a job can go."""
        told = listing.node_statuses(self.provisioner, C, [], launching=False, now=self.clock.now)
        leaving = {status.name for status in told if status.state.startswith("taken away")}
        nodes = [node for node in self.provisioner.nodes(C) if node.name not in leaving]
        dead = [node.name for node in nodes if not self.answers(node)]
        self.provisioner.terminate(C, dead)
        staying = [node for node in nodes if node.name not in dead]
        for node in staying:
            if node.name in self.up:
                need(self.cloud.notice(self.cloud.machines[C, node.name]) is None, f"a job is put on {node.name}, which is about to go")
        wanted = scaling.change(staying, [Workers(None, WANTED, WANTED)], Offer("small", preemptible=True), used=self.used.keys()).add
        self.used.update(dict.fromkeys(each.name for each in wanted))
        self.provisioner.launch(C, [NodeRequest(each.name, each.type, each.role, preemptible=each.preemptible) for each in wanted])

    def reachable(self, node: Node) -> bool:
        """Whether a node can be reached now, in truth."""
        try:
            self.cloud.reached(node)
        except Transient:
            return False
        return True

    def answers(self, node: Node) -> bool:
        """Whether a node is up, or may still come up."""
        if node.name in self.up or self.clock.now < node.launched + BOOT:
            return True
        (self.folder / node.name).mkdir(parents=True, exist_ok=True)
        try:
            sync_transport.wait_for_node(self.transport, node, 8.0, give_up=SimulatedWait(self.clock), clock=lambda: self.clock.now)
        except Transient:
            return False
        self.up.add(node.name)
        return True


def only_what_was_answered_counts(patch: pytest.MonkeyPatch) -> None:
    launch, change, made = SimulatedProvisioner.launch, scaling.change, set[str]()

    def launching(provisioner: SimulatedProvisioner, cluster: str, requests: list[NodeRequest]) -> object:
        short = launch(provisioner, cluster, requests)
        made.update(request.name for request in requests)
        return short

    patch.setattr(SimulatedProvisioner, "launch", launching)
    patch.setattr(scaling, "change", lambda nodes, *given, **named: change([node for node in nodes if node.name in made], *given, **named))


def what_is_listed_is_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sync_transport, "wait_for_node", lambda transport, node, seconds, **named: None)


def notices_are_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(listing, "HasNotices", SyncTransport)


def what_was_there_once_is_there(patch: pytest.MonkeyPatch) -> None:
    change, seen = scaling.change, dict[str, Node]()

    def remembering(nodes: Sequence[Node], *given: object, **named: object) -> scaling.Change:
        seen.update({node.name: node for node in nodes})
        return change(list(seen.values()), *given, **named)  # type: ignore[arg-type]

    patch.setattr(scaling, "change", remembering)


@dataclass(frozen=True)
class Bite:
    """What shows that a fault matters.

    Args:
        patch: Takes away what the engine does about it.
        words: A part of what is then told.
        site: Where the fault happens.
    """

    patch: Patch
    words: str
    site: str = f"machine {C}/worker-1 #1"


BITES = {
    "launched but timed out": Bite(only_what_was_answered_counts, "are paid for", f"launch in {C} #1"),
    "dead on arrival": Bite(what_is_listed_is_up, "answer in the end"),
    "preempted 120": Bite(notices_are_not_asked_for, "which is about to go"),
    "preempted 30": Bite(notices_are_not_asked_for, "which is about to go"),
    "preempted 0": Bite(what_was_there_once_is_there, "answer in the end"),
    "node lost": Bite(what_was_there_once_is_there, "answer in the end"),
}
"""Of each fault, what it brings down as soon as its answer is lacking."""


def told(faults: Sequence[Fault], folder: Path) -> str:
    """What does not hold with these faults; empty when all does."""
    try:
        Keeper(faults, folder).run()
    except Broken as broken:
        return str(broken)
    return ""


@pytest.mark.parametrize("kind", BITES)
def test_a_fault_of_the_cloud_bites(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bite = BITES[kind]
    fault = Fault(bite.site, kind)
    assert not told([fault], tmp_path), "with the answer all is well"
    for faults, words in ([], ""), ([fault], bite.words):
        with monkeypatch.context() as patch:
            bite.patch(patch)
            found = told(faults, tmp_path)
        assert words in found and bool(words) == bool(found), "only with the fault the answer is missed"


def test_all_ends_of_a_machine_but_a_passing_one_are_among_them() -> None:
    assert {*MACHINE_FAULTS, "launched but timed out"} - {*BITES} == {"cut off"}
