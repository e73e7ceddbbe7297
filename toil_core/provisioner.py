"""The provisioner contract: make and remove machines; the cloud's own tags are the only record."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

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
        ssh_key: A public key, as a line of `authorized_keys`, that the node's user (or root) must let in from the first moment.
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
    ssh_key: str = ""


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
    """Six primitives. The core decides how many nodes of which type, and when.

    A cluster's name is of lower-case letters, digits and hyphens, begins with a letter and has 40 characters at the most; what belongs to
    a cluster is found by its whole name, so that `a` and `a-b` have nothing to do with each other.
    """

    owns_system: ClassVar[bool] = True
    """Whether the nodes are machines of their own, where the core may install system packages."""

    @abstractmethod
    def catalog(self) -> Sequence[NodeType]:
        """The machine types that can be had, with their prices."""

    @abstractmethod
    def prepare(self, cluster: str) -> None:
        """Make what nodes will need: networks, roles, keys. Doing it twice is harmless."""

    @abstractmethod
    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        """Ask for machines, all at once; `nodes()` tells which came. A name that exists is left alone.

        Returns:
            What the cloud has none of now; the machines of other types are on their way.

        Raises:
            UsageError: A type is unknown (the message names the closest), or has no preemptible offer; nothing was asked for.
        """

    @abstractmethod
    def nodes(self, cluster: str) -> Iterable[Node]:
        """Every live machine of the cluster, found by its tags; one that is still to boot has no address yet."""

    @abstractmethod
    def terminate(self, cluster: str, names: Iterable[str]) -> None:
        """Remove machines by name; `nodes` names them no more. Missing ones are harmless."""

    @abstractmethod
    def destroy(self, cluster: str) -> None:
        """Remove the machines and all that `prepare` made, and return when it is gone. Doing it twice is harmless."""

    def close(self) -> None:
        """Let go of connections. The machines stay."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A thing that exists in a cloud because of a cluster.

    Args:
        kind: What it is, in the cloud's own words: `machine`, `security group`.
        name: Its name there.
    """

    kind: str
    name: str


@runtime_checkable
class HasInventory(Protocol):
    """A provisioner that can name all that exists because of a cluster; the core shows it before destroying, and verifies with it."""

    def inventory(self, cluster: str) -> Iterable[Resource]:
        """Everything that costs or stays, machines among it; empty once the cluster is destroyed."""
        ...


@runtime_checkable
class HasClusters(Protocol):
    """A provisioner that can tell which clusters there are."""

    def clusters(self) -> Iterable[str]:
        """The name of every cluster of which anything exists."""
        ...


@runtime_checkable
class HasNotices(Protocol):
    """A provisioner that knows beforehand which machines will be taken away."""

    def notices(self, cluster: str) -> Mapping[str, float]:
        """By name of a node, when it will be taken, in seconds since 1970."""
        ...


@runtime_checkable
class HasTransport(Protocol):
    """A provisioner whose nodes are reached in a way of their own unless the user says otherwise."""

    def transport(self, cluster: str) -> Mapping[str, str]:
        """The transport's name under `transport`, and the value of any other field of `TransportOptions`."""
        ...


@runtime_checkable
class SharesDisk(Protocol):
    """A provisioner whose nodes see one disk: what is installed there for one of them is there for all."""

    def images(self) -> str:
        """Absolute path, on every node, of a folder for what is installed; its contents are named by what they are."""
        ...
