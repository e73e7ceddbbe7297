"""The cluster engine contract: what makes bare Linux nodes into a cluster of one engine.

An engine only says things: which packages, secrets and files a node needs, and which command runs there.
Installing, copying, starting and stopping are the core's, over a sync transport. An engine comes under the
entry-point group `toil.engine`; the batch system that sends work to it is a driver of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from toil_core.batch_system import Requirement

Role = Literal["leader", "worker"]


@dataclass(frozen=True, slots=True)
class EngineNode:
    """A node, as its engine has to know it.

    Args:
        name: Unique in the cluster.
        address: Where the cluster's other nodes reach it: an IPv4 or IPv6 address, or a host name.
        offer: What it has for jobs. Cores, memory or disk of 0 are what the node itself finds that it has; `preemptible` says
            that it may be taken away.
    """

    name: str
    address: str
    offer: Requirement


class ClusterEngine(ABC):
    """What a node needs so that its cluster's engine runs on it. Constructed with the options; does no input or output.

    The core keeps one folder on each node for a cluster, with mode 0700 and owned by who runs the engine, and puts `files` there
    before `command` starts. Commands are given without a shell; `python` as the first word is the cluster's own Python on the node.
    """

    def requirements(self) -> Sequence[str]:
        """What has to be installed in the cluster's Python beside the core, as pip takes it; the same on every node."""
        return ()

    def secrets(self, cluster: str) -> Mapping[str, bytes]:
        """What all nodes of a cluster share and nobody else may know, by name: made anew at every call.

        The core calls it once, at launch, keeps the answer with the cluster's state (0600) and forgets it when the cluster is destroyed.

        Args:
            cluster: The cluster's name.
        """
        return {}

    @abstractmethod
    def files(self, role: Role, leader_address: str, secrets: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The files that a node of this role needs, by path relative to the node's folder of the cluster.

        Secrets may be among them: they go over the sync transport alone, and are readable by their owner alone.

        Args:
            role: The node's part.
            leader_address: Where the workers reach the leader node.
            secrets: What `secrets` once said.
        """

    @abstractmethod
    def command(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        """The program that makes the node a part of the cluster; it stays in the foreground until SIGTERM.

        Nothing secret is in it. It can be started again after any end. It may start before the leader's, and then waits for it;
        a worker whose leader is gone for good ends. Jobs end with it. At SIGUSR1 a worker's program learns that the machine is about to be
        taken away: it starts nothing more, tells its worker hosts so (`WorkerHost.wind_down`), and what is then lost counts as preempted.

        Args:
            role: The node's part. Only the leader's program is told to others; jobs run on nodes of role `worker`.
            node: The node.
            leader_address: Where the workers reach the leader node.
            folder: The node's folder of the cluster, absolute.
        """

    @abstractmethod
    def ready(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        """A program for the same node that ends, with code 0, as soon as the node is a working part of the cluster.

        It says on standard error what it waits for. Who calls it sets a limit.
        """

    @abstractmethod
    def options(self, leader_address: str, folder: PurePosixPath) -> Mapping[str, str]:
        """The options with which a workflow that is started on the leader node finds its cluster.

        Names are those of flags with underscores (`batch_system`, above all, is `--batch-system`); values are as they would be on the command
        line; nothing secret.

        Args:
            leader_address: Where the workers reach the leader node.
            folder: The leader node's folder of the cluster, absolute.
        """
