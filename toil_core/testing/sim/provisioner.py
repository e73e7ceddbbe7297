"""A simulated cloud: machines that take time to boot, prices that change, and all that goes wrong with machines.

Nothing waits and nothing happens by itself: what there is follows from the time, from what was asked for and from the draws, so
that it can be used with the simulated clock, and with any other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from toil_core.cluster.wanted import Offer, check_types
from toil_core.errors import Transient, UsageError
from toil_core.provisioner import Node, NodeRequest, NodeType, Provisioner, Resource, Shortage
from toil_core.testing.sim.chance import Chance

LAUNCH_FAULTS = ("error before", "launched but timed out")
"""What can happen to a call that asks for machines."""
CHANGE_FAULTS = ("error before", "error after")
"""What can happen to any other call that changes something."""
LOOK_FAULTS = ("error before",)
"""What can happen to a call that asks what there is."""
SHORTAGES = ("shortage",)
"""What can happen to a type that is asked for."""
MACHINE_FAULTS = ("dead on arrival", "node lost", "preempted 120", "preempted 30", "preempted 0", "cut off")
"""What can happen to a machine."""
NOTICE = "preempted "
"""What the names of the faults that take a preemptible machine begin with; the seconds of notice follow."""
CLOUD_FAULTS = tuple(dict.fromkeys((*LAUNCH_FAULTS, *CHANGE_FAULTS, *SHORTAGES, *MACHINE_FAULTS)))
"""Every kind of fault of a simulated cloud."""

TYPES = (
    NodeType("small", 2, 8 << 30, 50 << 30, 0.10),
    NodeType("large", 16, 64 << 30, 400 << 30, 0.80),
    NodeType("steady", 8, 32 << 30, 200 << 30, 0.45),
)
"""What there is unless other types are given, with the prices around which they change."""
STEADY = frozenset({"steady"})
"""Of which of these there are no preemptible ones."""
_REPRICED = 30 * 86400.0
_SPOT_CHANGES = 300.0
_SHORT = (60.0, 900.0)
_LIFE = (30.0, 3600.0)
_CUT = (10.0, 300.0)
_OUTBID_NOTICE = 120.0


class Ticking(Protocol):
    """Something that knows the time: the simulated clock, for example."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and its fate.

    Args:
        node: As it is told once it has an address.
        request: What was asked for.
        boots: When it has an address.
        answers: When it can be reached; never when it is dead on arrival.
        told: When the notice comes that it will be taken; never for one that is lost without.
        ends: When it is gone.
        cut: From when and until when it cannot be reached.
    """

    node: Node
    request: NodeRequest
    boots: float
    answers: float
    told: float = inf
    ends: float = inf
    cut: tuple[float, float] = (inf, inf)


class SimulatedCloud:
    """What exists, whoever is connected.

    Args:
        clock: The time.
        chance: Draws and faults.
        types: What there is, with the prices around which they change.
        steady: Of which types there are no preemptible machines.
        boot: The least and the most seconds until a machine has an address, and again until it can be reached.
    """

    def __init__(
        self,
        clock: Ticking,
        chance: Chance,
        types: Sequence[NodeType] = TYPES,
        steady: frozenset[str] = STEADY,
        boot: tuple[float, float] = (15.0, 120.0),
    ) -> None:
        self.clock = clock
        self.chance = chance
        self.record: list[str] = []
        """Everything that was done, a line each; the same for the same seed and the same calls."""
        self.lock = threading.RLock()
        self.machines: dict[tuple[str, str], Machine] = {}
        """All that were ever made and not terminated, by cluster and name."""
        self.networks: dict[str, None] = {}
        """What `prepare` made, by cluster."""
        self._types = {type.name: type for type in types}
        self._steady = steady
        self._boot = boot
        self._made = 0
        self._short: dict[tuple[str, bool], float] = {}
        self._begun = clock.now

    def tell(self, line: str) -> None:
        """Add a line to the record."""
        self.record.append(f"{self.clock.now - self._begun:.4f} {line}")

    def fails(self, call: str, kinds: Iterable[str]) -> str:
        """What goes wrong with a call; raises when it has no effect."""
        fault = self.chance.fault(self.chance.site(call), kinds)
        if fault:
            self.tell(f"{call}: {fault}")
        if fault == "error before":
            raise Transient(f"{call}: the cloud did not answer")
        return fault

    def types(self) -> list[NodeType]:
        """What there is, at the prices of this moment."""
        return [self._priced(type) for type in self._types.values()]

    def spot_price(self, type: str, at: float) -> float:
        """Dollars an hour for a preemptible machine, at that time."""
        site = f"spot price of {type} {int(at // _SPOT_CHANGES)}"
        return round((self._types[type].price or 0.0) * self.chance.between(site, 0.2, 0.7), 4)

    def make(self, cluster: str, request: NodeRequest) -> Shortage | None:
        """Make a machine, or tell that there is none now; a name that exists is left alone."""
        if self.live(cluster, request.name):
            return None
        short = self._shortage(request)
        if short:
            self.tell(f"{cluster}/{request.name} has to wait: no {request.type} until {short.until - self._begun:.4f}")
            return short
        machine = self.machines[cluster, request.name] = self._machine(cluster, request)
        self.tell(f"{cluster}/{request.name} {machine.node.private_address} {request.type} boots until {machine.answers - self._begun:.4f}")
        return None

    def live(self, cluster: str, name: str) -> Machine | None:
        """The machine of that name, unless it is gone."""
        found = self.machines.get((cluster, name))
        return found if found is not None and self.clock.now < self._fate(found)[1] else None

    def of(self, cluster: str) -> list[Machine]:
        """The machines of the cluster that are not gone."""
        return [machine for mine, name in list(self.machines) if mine == cluster and (machine := self.live(mine, name))]

    def notice(self, machine: Machine) -> float | None:
        """When the machine will be taken, once that is known."""
        told, ends = self._fate(machine)
        return ends if told <= self.clock.now else None

    def reached(self, node: Node) -> None:
        """Whether the node can be reached now.

        Raises:
            Transient: It is booting, cut off, dead or gone.
        """
        with self.lock:
            found = [
                m for c, n in self.machines if n == node.name and (m := self.live(c, n)) and m.node.private_address == node.private_address
            ]
            now = self.clock.now
            if not node.private_address or not found or now < found[0].answers or found[0].cut[0] <= now < found[0].cut[1]:
                raise Transient(f"node {node.name} does not answer")

    def _priced(self, type: NodeType) -> NodeType:
        now = self.clock.now
        factor = self.chance.between(f"price of {type.name} {int(now // _REPRICED)}", 0.9, 1.1)
        spot = None if type.name in self._steady else self.spot_price(type.name, now)
        price = round((type.price or 0.0) * factor, 4)
        return NodeType(type.name, type.cores, type.memory, type.disk, price, spot, type.accelerators)

    def _shortage(self, request: NodeRequest) -> Shortage | None:
        kind, now = (request.type, request.preemptible), self.clock.now
        if request.preemptible and request.bid is not None and request.bid < self.spot_price(request.type, now):
            return Shortage(request.type, "", True, (now // _SPOT_CHANGES + 1) * _SPOT_CHANGES)
        if self._short.get(kind, 0.0) <= now:
            site = self.chance.site(f"stock of {request.type}{' preemptible' * request.preemptible}")
            if not self.chance.fault(site, SHORTAGES):
                return None
            self._short[kind] = now + self.chance.between(f"length {site}", *_SHORT)
        return Shortage(request.type, "", request.preemptible, self._short[kind])

    def _machine(self, cluster: str, request: NodeRequest) -> Machine:
        self._made += 1
        chance, now = self.chance, self.clock.now
        site = chance.site(f"machine {cluster}/{request.name}")
        kinds = MACHINE_FAULTS if request.preemptible else [kind for kind in MACHINE_FAULTS if not kind.startswith(NOTICE)]
        fault = chance.fault(site, kinds)
        boots = now + chance.between(f"boot {site}", *self._boot)
        answers = boots + chance.between(f"start {site}", *self._boot)
        at = now + chance.between(f"life {site}", *_LIFE)
        told, ends, cut = inf, inf, (inf, inf)
        if fault == "dead on arrival":
            answers = inf
            boots = boots if chance.draw(f"address {site}") < 0.5 else inf
        elif fault == "node lost":
            ends = at
        elif fault == "cut off":
            cut = (at, at + chance.between(f"cut {site}", *_CUT))
        elif fault:
            told, ends = at, at + float(fault.removeprefix(NOTICE))
        address = f"10.{self._made >> 16 & 255}.{self._made >> 8 & 255}.{self._made & 255}"
        node = Node(request.name, request.type, request.role, request.preemptible, address, launched=now)
        if fault:
            self.tell(f"{cluster}/{request.name}: {fault}")
        return Machine(node, request, boots, answers, told, ends, cut)

    def _fate(self, machine: Machine) -> tuple[float, float]:
        """When it is told that the machine will be taken, and when it is gone: by its fate, or outbid."""
        request, step = machine.request, machine.node.launched // _SPOT_CHANGES + 1
        if request.preemptible and request.bid is not None:
            while (at := step * _SPOT_CHANGES) <= min(self.clock.now, machine.ends):
                if self.spot_price(request.type, at) > request.bid:
                    return min(at, machine.told), min(at + _OUTBID_NOTICE, machine.ends)
                step += 1
        return machine.told, machine.ends


class SimulatedProvisioner(Provisioner):
    """A connection to a simulated cloud.

    Args:
        cloud: The cloud.
    """

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def catalog(self) -> Sequence[NodeType]:
        """The types, at the prices of this moment."""
        with self._cloud.lock:
            return self._cloud.types()

    def prepare(self, cluster: str) -> None:
        """Make the cluster's network."""
        with self._cloud.lock:
            fault = self._cloud.fails(f"prepare {cluster}", CHANGE_FAULTS)
            self._cloud.networks[cluster] = None
            _answer(fault, f"prepare {cluster}")

    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        """Ask for machines; they boot for a while."""
        requests, cloud = list(requests), self._cloud
        with cloud.lock:
            check_types([Offer(each.type, preemptible=each.preemptible) for each in requests], cloud.types())
            if cluster not in cloud.networks:
                raise UsageError(f"cluster {cluster} is not prepared")
            if not requests:
                return ()
            fault = cloud.fails(f"launch in {cluster}", LAUNCH_FAULTS)
            short = [cloud.make(cluster, request) for request in requests]
            _answer(fault, f"launch in {cluster}")
            return list(dict.fromkeys(each for each in short if each is not None))

    def nodes(self, cluster: str) -> Iterable[Node]:
        """The machines that are not gone, also those that never answer."""
        cloud = self._cloud
        with cloud.lock:
            cloud.fails(f"nodes of {cluster}", LOOK_FAULTS)
            return [_as_told(machine, cloud.clock.now) for machine in cloud.of(cluster)]

    def terminate(self, cluster: str, names: Iterable[str]) -> None:
        """Remove machines at once."""
        cloud, names = self._cloud, list(names)
        with cloud.lock:
            fault = cloud.fails(f"terminate in {cluster}", CHANGE_FAULTS)
            for name in names:
                if cloud.machines.pop((cluster, name), None):
                    cloud.tell(f"{cluster}/{name} is terminated")
            _answer(fault, f"terminate in {cluster}")

    def destroy(self, cluster: str) -> None:
        """Remove the machines and the network at once."""
        cloud = self._cloud
        with cloud.lock:
            fault = cloud.fails(f"destroy {cluster}", CHANGE_FAULTS)
            for key in [key for key in cloud.machines if key[0] == cluster]:
                del cloud.machines[key]
            if cluster in cloud.networks:
                del cloud.networks[cluster]
                cloud.tell(f"{cluster} is destroyed")
            _answer(fault, f"destroy {cluster}")

    def inventory(self, cluster: str) -> Iterable[Resource]:
        """The machines and the network."""
        with self._cloud.lock:
            networks = [Resource("network", cluster)] if cluster in self._cloud.networks else []
            return [*(Resource("machine", machine.node.name) for machine in self._cloud.of(cluster)), *networks]

    def clusters(self) -> Iterable[str]:
        """The clusters that have a network."""
        return list(self._cloud.networks)

    def notices(self, cluster: str) -> Mapping[str, float]:
        """Which machines will be taken, and when."""
        cloud = self._cloud
        with cloud.lock:
            cloud.fails(f"notices of {cluster}", LOOK_FAULTS)
            return {machine.node.name: at for machine in cloud.of(cluster) if (at := cloud.notice(machine)) is not None}


def _as_told(machine: Machine, now: float) -> Node:
    node = machine.node
    return node if machine.boots <= now else Node(node.name, node.type, node.role, node.preemptible, launched=node.launched)


def _answer(fault: str, call: str) -> None:
    """The answer to a call that took effect gets lost when something goes wrong."""
    if fault:
        raise Transient(f"{call}: no answer came in time")
