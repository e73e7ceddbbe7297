"""Launching a cluster, and adding nodes to one: what is done in each phase."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from toil_core import __version__
from toil_core.batch_system import Requirement
from toil_core.cluster import bundle, node_setup, offline
from toil_core.cluster.bundle import Image
from toil_core.cluster.interruptible import Interruptible
from toil_core.cluster.machines import Machines
from toil_core.cluster.node_facts import Facts
from toil_core.cluster.node_setup import Setup
from toil_core.cluster.phases import LeaveOut, Plan, first_phases, node_phases
from toil_core.cluster.runner import Runner, Work
from toil_core.cluster.state import ClusterState
from toil_core.cluster.wanted import WantedNode
from toil_core.cluster_engine import ClusterEngine, EngineNode
from toil_core.errors import Transient, UsageError
from toil_core.options import Config
from toil_core.plugins import hooks
from toil_core.provisioner import Node, NodeRequest, NodeType, Provisioner, SharesDisk
from toil_core.sizes import count
from toil_core.sync_transport import SyncTransport, wait_for_node
from toil_core.telling import Trouble

_AWAITED = {
    "keys": "keys to be made",
    "image": "wheels to be made of what is installed here",
    "prepare": "the cloud to make what nodes need",
    "machines": "the cloud to take the request",
    "machine": "the cloud to make it and to give it an address",
    "reach": "it to boot and to answer",
    "system": "system packages to be installed",
    "install": "its installation",
    "engine": "the engine to be started",
    "ready": "the engine to work",
}
_SHOWN = 5
"""Of so many packages that differ the user is told."""
_SHORT = 60.0
"""Seconds that a machine may take to appear of a type of which the cloud said that it has too few."""


@dataclass(frozen=True)
class Place:
    """Where a cluster is, and how it is reached.

    Args:
        state: What this machine remembers of it.
        provisioner: Its cloud.
        transport: The way into its nodes.
        engine: What runs on it.
        config: The options.
    """

    state: ClusterState
    provisioner: Provisioner
    transport: SyncTransport
    engine: ClusterEngine
    config: Config


@dataclass(frozen=True)
class Software:
    """What nodes get.

    Args:
        requirements: Path of the user's requirements file.
        bundle: Path of a bundle, which has all of it.
        packages: What the cluster's other nodes have; see `Image.packages`. Empty when there are none, or it is not known.
    """

    requirements: Path | None = None
    bundle: Path | None = None
    packages: tuple[tuple[str, str, str], ...] = ()


NOTHING_MORE = Software()
REQUIREMENTS, BUNDLE = "requirements.txt", "bundle.tar"
"""Their names in the folder of a cluster's state."""


def kept_software(state: ClusterState) -> Software:
    """What the nodes of a cluster get, as it was kept when it was launched."""
    requirements, packed = state.folder / REQUIREMENTS, state.folder / BUNDLE
    there = state.read().packages if state.exists() else ()
    return Software(requirements if requirements.exists() else None, packed if packed.exists() else None, there)


class Launch:
    """Makes nodes, and parts of a cluster of them.

    Args:
        place: The cluster.
        wanted: The nodes to make.
        leader: The leader's name; or, when it is there already, the leader.
        software: What they get.
        least: How many of the workers must come up; those that do not are left out, and are the caller's to remove.
        tell: Shows a line to the user.
    """

    def __init__(
        self, place: Place, wanted: Sequence[WantedNode], leader: str | Node, software: Software, least: int, tell: Callable[[str], None]
    ) -> None:
        self._state, self._provisioner, self._config = place.state, place.provisioner, place.config
        self._give_up = threading.Event()
        self._transport, self._engine = Interruptible(place.transport, self._give_up), place.engine
        self._wanted = list(wanted)
        self._leader = leader
        self._software, self._tell = software, tell
        self._bundle = offline.read(software.bundle) if software.bundle else None
        self._kind = self._bundle.kind if self._bundle else bundle.this_kind()
        self._machines = Machines(partial(place.provisioner.nodes, place.state.name), self._give_up)
        self._types: dict[str, NodeType] = {}
        self._short: set[tuple[str, bool]] = set()
        self._facts: dict[str, Facts] = {}
        self._sharing = threading.Lock()
        self._ssh_key = ""
        self._staging: Path
        self._setup: Setup
        self._archive: Path
        self.image: Image
        self._plan, work = self._planned(least)
        self._runner = Runner(self._plan, work, place.state.note, tell, lambda name: _AWAITED[name.rpartition("/")[2]], self._give_up)

    def run(self) -> None:
        """Do all of it; what is there already is left as it is.

        Raises:
            PhaseFailed: Something failed; what was made until then is still there.
        """
        with self._machines:
            self._runner.run()

    def settle(self, seconds: float) -> None:
        """Begin nothing more, and wait for what is being done on nodes.

        Args:
            seconds: For how long to wait.
        """
        self._give_up.set()
        self._runner.settle(seconds)

    @property
    def left_out(self) -> Mapping[str, LeaveOut]:
        """The nodes that failed."""
        return self._plan.left_out

    def _planned(self, least: int) -> tuple[Plan, dict[str, Work]]:
        plan = Plan(optional=frozenset(node.name for node in self._wanted if node.role == "worker"), least=least)
        plan.add(first_phases())
        work: dict[str, Work] = {"keys": self._keys, "image": self._image, "prepare": self._prepare, "machines": self._ask}
        steps: dict[str, Callable[[str, float], str]] = {
            "machine": self._machine, "reach": self._reach, "system": self._system,
            "install": self._install, "engine": self._start, "ready": self._ready,
        }  # fmt: skip
        first = self._leader if isinstance(self._leader, str) else None
        for node in self._wanted:
            plan.add(node_phases(node.name, first if node.name != first else None))
            work.update({f"{node.name}/{name}": partial(step, node.name) for name, step in steps.items()})
        return plan, work

    def _keys(self, limit: float) -> str:
        self._staging = self._state.make_staging()
        self._ssh_key = self._state.make_key()
        secrets = self._state.secrets()
        if secrets is None:
            secrets = self._engine.secrets(self._state.name)
            self._state.keep_secrets(secrets)
        self._setup = Setup(self._state.name, self._engine, secrets, __version__, self._staging)
        return ""

    def _image(self, limit: float) -> str:
        if self._bundle is not None and self._software.bundle is not None:
            self.image, self._archive = Image(self._bundle.name, (), ()), self._software.bundle
            return f"{count(len(self._bundle.distributions), 'distribution')} of the bundle"
        self.image = bundle.image(self._engine.requirements(), self._software.requirements)
        if self._software.packages:
            self._warn_of(bundle.differences(self._software.packages, self.image.packages))
        self._archive = bundle.archive(self.image, bundle.cache_folder())
        return f"{count(len(self.image.contents), 'distribution')} in {self._archive.stat().st_size / (1 << 20):.1f} MiB"

    def _warn_of(self, differences: Sequence[str]) -> None:
        if differences:
            more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
            self._tell(Trouble(
                f"warning: new nodes get what is installed here, and that is not what the others have: {', '.join(differences[:_SHOWN])}{more}; "
                "install the same here, or launch the cluster anew, if jobs shall find the same on every node"
            ))  # fmt: skip

    def _prepare(self, limit: float) -> str:
        self._provisioner.prepare(self._state.name)
        return ""

    def _ask(self, limit: float) -> str:
        self._types = {type.name: type for type in self._provisioner.catalog()}
        requests = [
            NodeRequest(node.name, node.type, node.role, disk=node.disk, preemptible=node.preemptible, bid=node.bid, ssh_key=self._ssh_key)
            for node in self._wanted
        ]
        shortages = self._provisioner.launch(self._state.name, requests)
        self._short = {(each.type, each.preemptible) for each in shortages}
        for node in self._wanted:
            if node.role == "leader" and (node.type, node.preemptible) in self._short:
                raise self._shortage(node)
        return ""

    def _machine(self, name: str, limit: float) -> str:
        wanted = next(node for node in self._wanted if node.name == name)
        short = (wanted.type, wanted.preemptible) in self._short
        try:
            node = self._machines.wait(name, min(limit, time.monotonic() + _SHORT) if short else limit)
        except Transient:
            if short and not self._machines.has(name):
                raise self._shortage(wanted) from None
            raise
        return f"{node.type}{' (preemptible)' if node.preemptible else ''} at {node.public_address or node.private_address}"

    @staticmethod
    def _shortage(node: WantedNode) -> UsageError:
        kind = f"{node.type}{' (preemptible)' if node.preemptible else ''}"
        return UsageError(f"the cloud has none left of {kind}; take another node type or zone, or try again later")

    def _reach(self, name: str, limit: float) -> str:
        wait_for_node(self._transport, self._machines[name], _left(limit), give_up=self._give_up)
        self._facts[name] = node_setup.look(self._transport, self._machines[name], self._kind, _left(limit))
        return ""

    def _system(self, name: str, limit: float) -> str:
        owns, node = self._provisioner.owns_system, self._machines[name]
        self._facts[name] = node_setup.prepare_system(self._transport, node, self._kind, self._facts[name], _left(limit), owns_system=owns)
        if owns:
            for files in hooks(self._config).hook.toil_boot_files(cluster=self._state.name, role=self._machines[name].role):
                node_setup.put_files(self._transport, self._machines[name], files, self._staging)
        return ""

    def _install(self, name: str, limit: float) -> str:
        shared = PurePosixPath(self._provisioner.images()) if isinstance(self._provisioner, SharesDisk) else None
        node, facts = self._machines[name], self._facts[name]
        if not node_setup.find_image(self._transport, node, facts, self.image, _left(limit), shared):
            with self._sharing if shared else nullcontext():
                node_setup.install(self._transport, node, facts, self.image, self._archive, _left(limit), shared)
        return ""

    def _start(self, name: str, limit: float) -> str:
        node = self._machines[name]
        member = node_setup.Member(node, self._offer(node), self._leader_address(), self._facts[name].home, self.image.name)
        node_setup.start_engine(self._transport, member, self._setup, _left(limit))
        return ""

    def _ready(self, name: str, limit: float) -> str:
        node = self._machines[name]
        member = node_setup.Member(node, self._offer(node), self._leader_address(), self._facts[name].home, self.image.name)
        node_setup.await_ready(self._transport, member, self._setup, _left(limit))
        return "ready"

    def _leader_address(self) -> str:
        leader = self._leader if isinstance(self._leader, Node) else self._machines[self._leader]
        return leader.private_address or leader.public_address

    def _offer(self, node: Node) -> EngineNode:
        """What the node has for jobs: of a machine of its own what it finds itself, of a part of one what its type promises."""
        type = self._types[node.type]
        offer = Requirement(cores=0, preemptible=node.preemptible, accelerators=type.accelerators)
        if not self._provisioner.owns_system:
            offer = Requirement(type.cores, type.memory, type.disk, node.preemptible, type.accelerators)
        return EngineNode(node.name, node.private_address or node.public_address, offer)


def _left(limit: float) -> float:
    return max(1.0, limit - time.monotonic())
