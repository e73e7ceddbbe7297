"""A cluster that exists, as commands find it: its state here, its cloud, and the way into its nodes."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from toil_core import __version__
from toil_core.cluster.state import ClusterFile, ClusterState, known_clusters
from toil_core.cluster.wanted import LEADER
from toil_core.errors import KeyRefused, UsageError
from toil_core.option_parser import config_from
from toil_core.options import Config
from toil_core.plugins import open_provisioner, open_sync_transport
from toil_core.provisioner import HasTransport, Node, Provisioner
from toil_core.provisioner_options import ClusterOptions
from toil_core.sync_transport import SyncTransport, TransportOptions


@dataclass
class Cluster:
    """A cluster, open.

    Args:
        state: What this machine remembers of it.
        file: How it was launched; None when that is not known here.
        config: The options.
        provisioner: Its cloud.
        transport: The way into its nodes.
    """

    state: ClusterState
    file: ClusterFile | None
    config: Config
    provisioner: Provisioner
    transport: SyncTransport

    @property
    def name(self) -> str:
        """Its name."""
        return self.state.name

    def nodes(self) -> list[Node]:
        """Its nodes, the leader first.

        Raises:
            UsageError: It has none.
        """
        found = sorted(self.provisioner.nodes(self.name), key=lambda node: (node.role != "leader", len(node.name), node.name))
        if not found and self.file is None and cluster_of_this_node() == self.name:
            raise UsageError(_on_a_node(self.name))
        if not found and self.file is None:
            raise UsageError(f"there is nothing of a cluster {self.name}; `toil list-clusters` lists the clusters")
        if not found:
            raise UsageError(f"cluster {self.name} has no nodes; `toil list-clusters` lists the clusters, and `toil destroy-cluster {self.name}` forgets this one")
        return found

    def node(self, name: str = LEADER) -> Node:
        """The node of that name.

        Raises:
            UsageError: There is none.
        """
        nodes = self.nodes()
        for node in nodes:
            if node.name == name:
                return node
        if name == LEADER:
            raise UsageError(
                f"the leader of cluster {self.name} is gone, and no other takes its place: `toil destroy-cluster {self.name}`, and launch anew; "
                "a workflow whose job store was elsewhere goes on there with --restart"
            )
        raise UsageError(f"cluster {self.name} has no node {name}; it has {', '.join(node.name for node in nodes)}")

    def check_fit(self) -> None:
        """Make sure that the cluster is whole, and runs the version of this program.

        Raises:
            UsageError: Its launch did not come to its end, or it runs another version.
        """
        if self.file is not None and not self.file.ready:
            raise UsageError(
                f"the launch of {self.name} has not come to its end: `toil launch-cluster` with the same options goes on with one that was interrupted, "
                f"`toil destroy-cluster {self.name}` removes it"
            )
        if self.file is not None and self.file.version != __version__:
            raise UsageError(
                f"cluster {self.name} has toil-core {self.file.version}, and this is {__version__}: "
                f"pip install toil-core=={self.file.version}, or launch the cluster anew"
            )


@contextmanager
def open_cluster(name: str, arguments: argparse.Namespace, config: Config) -> Iterator[Cluster]:
    """Open a cluster that was launched, here or from another machine.

    Args:
        name: Its name.
        arguments: The command line, which goes before the options that the cluster was launched with.
        config: The options as they are without these.

    Raises:
        UsageError: Nothing is known of it.
    """
    state = ClusterState(name)
    file, config = _recalled(state, arguments, config)
    with _cloud(name, file, config) as provisioner:
        config = reaching(name, state, provisioner, config)
        with open_sync_transport(config[TransportOptions].transport or "ssh", config) as transport:
            try:
                yield Cluster(state, file, config, provisioner, transport)
            except KeyRefused as error:
                if file is None or state.key.exists():
                    raise
                raise KeyRefused(f"{error}; the cluster's own key is not in {state.key} any more") from None


@contextmanager
def open_cloud(name: str, arguments: argparse.Namespace, config: Config) -> Iterator[Provisioner]:
    """Open the cloud of a cluster, of which nothing else has to work.

    Args:
        name: The cluster's name.
        arguments: The command line.
        config: The options.

    Raises:
        UsageError: Nothing tells which cloud that is.
    """
    file, config = _recalled(ClusterState(name), arguments, config)
    with _cloud(name, file, config) as provisioner:
        yield provisioner


def _recalled(state: ClusterState, arguments: argparse.Namespace, config: Config) -> tuple[ClusterFile | None, Config]:
    if not state.exists():
        return None, config
    file = state.read()
    return file, config_from(arguments, saved=Config.from_dict({"options": file.options}))


def _cloud(name: str, file: ClusterFile | None, config: Config) -> Provisioner:
    chosen = file.provisioner if file else config[ClusterOptions].provisioner
    if chosen is None and cluster_of_this_node() == name:
        raise UsageError(_on_a_node(name))
    if chosen is None:
        close = difflib.get_close_matches(name, [each.name for each in known_clusters()], 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(f"this machine knows of no cluster {name}{hint}; of one that was launched from elsewhere, say in which cloud it is: --provisioner NAME")
    return open_provisioner(chosen, config)


def cluster_of_this_node() -> str:
    """The cluster that this machine is a node of; empty for none."""
    return os.environ.get("TOIL_CLUSTER", "")


def _on_a_node(name: str) -> str:
    return f"this is a node of cluster {name}, and has neither its keys nor the right to make machines: give this command on the machine that launched it"


def reaching(name: str, state: ClusterState, provisioner: Provisioner, config: Config, *, new: bool = False) -> Config:
    """The options with which a cluster's nodes are reached: the user's, else the provisioner's, and the cluster's own keys.

    Args:
        name: The cluster's name.
        state: What this machine remembers of it.
        provisioner: Its cloud.
        config: The options.
        new: Whether its key is still to be made.
    """
    options = config[TransportOptions]
    suggested: Mapping[str, str] = provisioner.transport(name) if isinstance(provisioner, HasTransport) else {}
    if options.transport is None:
        options = replace(options, **{field: value for field, value in suggested.items() if not getattr(options, field)})  # type: ignore[arg-type]
    if new or state.key.exists():
        options = replace(options, ssh_identity=(str(state.key), *options.ssh_identity))
    if options.ssh_known_hosts is None and state.folder.exists():
        options = replace(options, ssh_known_hosts=str(state.known_hosts))
    return config.replacing(replace(options, transport=options.transport or "ssh"))


def words(arguments: Sequence[str]) -> list[str]:
    """What follows a command's own arguments, without the `--` that may separate it."""
    return list(arguments[1:]) if arguments[:1] == ["--"] else list(arguments)
