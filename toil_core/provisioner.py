"""The provisioner contract: make and remove machines; the cloud's own tags are the only record."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from toil_core.batch_system import Accelerator
from toil_core.closing import Closing


@dataclass(frozen=True, slots=True)
class NodeType:
    """What one type of machine offers to jobs, and its price.

    Args:
        name: The cloud's name of the type.
        cores: Processor cores.
        memory: Bytes of memory.
        disk: Bytes of local disk; 0 when all disk is attached on demand.
        price: Dollars an hour, on demand; None when unknown.
        spot_price: Dollars an hour now when preemptible; None when there is no such offer.
        accelerators: Devices in it.
    """

    name: str
    cores: float
    memory: int
    disk: int = 0
    price: float | None = None
    spot_price: float | None = None
    accelerators: tuple[Accelerator, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """A wanted machine. The core picks the name, so asking twice makes one machine.

    Args:
        name: Unique in the cluster.
        type: The name of a node type.
        role: `leader` or `worker`.
        boot: Opaque bytes given to the machine at its first boot; never a secret.
        disk: Bytes of root disk; 0 for the type's own.
        preemptible: Whether the machine may be taken away.
        bid: The most to pay, in dollars an hour, when preemptible; None for the going price.
    """

    name: str
    type: str
    role: str
    boot: bytes = field(default=b"", repr=False)
    disk: int = 0
    preemptible: bool = False
    bid: float | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that exists.

    Args:
        name: As requested.
        type: Its node type's name.
        role: `leader` or `worker`.
        preemptible: Whether it may be taken away.
        private_address: Where the cluster reaches it.
        public_address: Where the user reaches it; empty when nowhere.
        launched: Seconds since 1970.
        port: Where its SSH server listens.
        user: Whom to be there; empty for whoever the user says.
        host_keys: Its public host keys as the machine's console or the cloud told them, `ssh-ed25519 AAAA...`; empty when
            nothing told: then the key of the first contact, while it is launched, counts from then on.
    """

    name: str
    type: str
    role: str
    preemptible: bool = False
    private_address: str = ""
    public_address: str = ""
    launched: float = 0.0
    port: int = 22
    user: str = ""
    host_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shortage:
    """The cloud has none of a type now: data for the autoscaler, not an error.

    Args:
        type: The node type's name.
        zone: Where; empty for everywhere.
        preemptible: Of which kind.
        until: Not worth asking again before this moment (seconds since 1970).
    """

    type: str
    zone: str
    preemptible: bool
    until: float


class Provisioner(Closing):
    """Six primitives. The core decides how many nodes of which type, and when."""

    @abstractmethod
    def catalog(self) -> Sequence[NodeType]:
        """The machine types that can be had, with their prices."""

    @abstractmethod
    def prepare(self, cluster: str) -> None:
        """Make what nodes will need: networks, roles, keys. Doing it twice is harmless."""

    @abstractmethod
    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        """Ask for machines; `nodes()` tells which came. A name that exists is left alone."""

    @abstractmethod
    def nodes(self, cluster: str) -> Iterable[Node]:
        """Every live machine of the cluster, found by its tags."""

    @abstractmethod
    def terminate(self, cluster: str, names: Iterable[str]) -> None:
        """Remove machines by name. Missing ones are harmless."""

    @abstractmethod
    def destroy(self, cluster: str) -> None:
        """Remove the machines and all that `prepare` made. Doing it twice is harmless."""

    def close(self) -> None:
        """Let go of connections. The machines stay."""
