"""The provisioner `local`: clusters of nodes on this machine, for trying out and for tests.

A node is a folder, an address of the loopback network and an ssh server that the user runs (none where no server is installed: then the
transport `local` reaches it). It needs no root, no account and no containers. Nodes do not keep jobs from what the rest of the machine has; what
a node type promises is what the engine hands out. Nodes can be killed and preempted: `toil local-cloud`.
"""

from __future__ import annotations

import difflib
import getpass
import os
import random
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import msgspec

from toil_core.drivers import local_node
from toil_core.drivers.local_catalog import node_types
from toil_core.drivers.local_options import LocalCloudOptions
from toil_core.drivers.local_records import Record, Records
from toil_core.errors import BadOption, UsageError
from toil_core.options import Config
from toil_core.provisioner import Node, NodeRequest, NodeType, Provisioner, Resource, Shortage
from toil_core.provisioner_options import ClusterOptions
from toil_core.state_folder import state_folder

_MONTH = 30 * 86400.0


class LocalProvisioner(Provisioner):
    """Clusters on this machine.

    Args:
        config: The options.
    """

    owns_system: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        options = config[LocalCloudOptions]
        self._types = {type.name: type for type in node_types(options.catalog)}
        self._sshd = local_node.find_sshd(options.sshd)
        self._tags = dict(tag.split("=", 1) for tag in config[ClusterOptions].tag)
        if config[ClusterOptions].owner:
            self._tags["Owner"] = config[ClusterOptions].owner or ""
        self._records = Records(Path(options.folder).expanduser().absolute() if options.folder else state_folder() / "local-cloud")

    def catalog(self) -> Sequence[NodeType]:
        """The parts of this machine that nodes can be."""
        return list(self._types.values())

    def prepare(self, cluster: str) -> None:
        """Make the cluster's folders."""
        with self._records.locked(cluster):
            self._records.prepare(cluster, self._tags)

    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        """Make nodes; each is there when this returns."""
        requests = list(requests)
        for request in requests:
            self._check(request)
        with self._records.locked(cluster):
            if not self._records.prepared(cluster):
                raise UsageError(f"cluster {cluster} is not prepared")
            known = {record.name: record for record in self._records.nodes(cluster)}
            for request in requests:
                if request.name in known and self._is_live(cluster, known[request.name]):
                    continue
                self._end(cluster, request.name)
                self._start(cluster, request, {record.address for record in known.values()})
        return ()

    def nodes(self, cluster: str) -> Iterable[Node]:
        """The nodes whose ssh server runs; where there is no ssh server, those that were not ended."""
        return [self._node(cluster, record) for record in self._records.nodes(cluster) if self._is_live(cluster, record)]

    def terminate(self, cluster: str, names: Iterable[str]) -> None:
        """End all processes of nodes, and remove their folders."""
        if not self._records.folder(cluster).exists():
            return
        with self._records.locked(cluster):
            for name in names:
                self._end(cluster, name)

    def destroy(self, cluster: str) -> None:
        """End all processes of the cluster, and remove its folder."""
        folder = self._records.folder(cluster)
        if not folder.exists():
            return
        with self._records.locked(cluster):
            local_node.end(self._records.homes(cluster), self._records.abouts(cluster))
            self._records.remove_all(cluster)

    def clusters(self) -> Iterable[str]:
        """The clusters that have a folder."""
        return list(self._records.clusters())

    def inventory(self, cluster: str) -> Iterable[Resource]:
        """The nodes, processes that are left of nodes, and the folder."""
        folder = self._records.folder(cluster)
        yield from (Resource("node", record.name) for record in self._records.nodes(cluster))
        if not local_node.is_quiet(self._records.homes(cluster), self._records.abouts(cluster)):
            yield Resource("processes of", str(self._records.homes(cluster)))
        if folder.exists():
            yield Resource("folder", str(folder))

    def notices(self, cluster: str) -> Mapping[str, float]:
        """What `preempt` was told."""
        return {record.name: record.taken for record in self._records.nodes(cluster) if record.taken}

    def transport(self, cluster: str) -> Mapping[str, str]:
        """`ssh`, or `local` where there is no ssh server."""
        return {"transport": "ssh"} if self._sshd else {"transport": "local", "local_nodes": str(self._records.homes(cluster))}

    def homes(self, cluster: str) -> Path:
        """The folder of the nodes' disks: for each node, by name, a folder."""
        return self._records.homes(cluster)

    def images(self) -> str:
        """A folder of the user's cache; what was not used for a month is removed from it."""
        folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "toil" / "installed"
        for whole in folder.glob("*/.whole"):
            if whole.stat().st_mtime < time.time() - _MONTH:
                shutil.rmtree(whole.parent, ignore_errors=True)
        return str(folder)

    def kill(self, cluster: str, names: Iterable[str]) -> None:
        """Take nodes away at once, without a word to what runs there.

        Args:
            cluster: The cluster.
            names: The nodes' names.

        Raises:
            UsageError: There is no such node.
        """
        for name in names:
            self._record(cluster, name)
            self.terminate(cluster, [name])

    def preempt(self, cluster: str, name: str, notice: float) -> None:
        """Tell a node that it will be taken away, and take it away when the time has come, or its ssh server ended before.

        Args:
            cluster: The cluster.
            name: The node's name.
            notice: Seconds between word and deed.

        Raises:
            UsageError: There is no such node, or it is not preemptible.
        """
        record = self._record(cluster, name)
        if not record.preemptible:
            raise UsageError(f"node {name} of cluster {cluster} is not preemptible; `toil local-cloud kill` takes any node away")
        with self._records.locked(cluster):
            taken = time.time() + notice
            self._records.change(cluster, msgspec.structs.replace(record, taken=taken))
            (self._records.about(cluster, name) / "notice").write_text(f"{taken:.3f}\n")
        local_node.await_end(self._records.about(cluster, name), notice)
        self.terminate(cluster, [name])

    def _record(self, cluster: str, name: str) -> Record:
        records = {record.name: record for record in self._records.nodes(cluster) if self._is_live(cluster, record)}
        if not self._records.folder(cluster).exists():
            close = difflib.get_close_matches(cluster, list(self._records.clusters()), 1)
            raise UsageError(f"there is no cluster {cluster} on this machine" + (f"; did you mean {close[0]}?" if close else "; `toil list-clusters` lists the clusters"))
        if name not in records:
            raise UsageError(f"cluster {cluster} has no node {name} on this machine; it has {', '.join(records) or 'none'}")
        return records[name]

    def _check(self, request: NodeRequest) -> None:
        type = self._types.get(request.type)
        if type is None:
            close = difflib.get_close_matches(request.type, self._types, 1, 0.3)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(self._types)}"
            raise BadOption(f"there is no node type {request.type!r} on this machine; {hint}")
        if request.preemptible and type.spot_price is None:
            raise BadOption(f"node type {request.type} cannot be had preemptible: it has no spot price")

    def _start(self, cluster: str, request: NodeRequest, used: set[str]) -> None:
        address = _free_address(used)
        used.add(address)
        record = Record(request.name, request.type, request.role, request.preemptible, address, time.time())
        files = {"boot": (request.boot, 0o600)}
        home, about = self._records.home(cluster, request.name), self._records.about(cluster, request.name)
        if not self._sshd:
            self._records.add(cluster, record, files)
            return
        with local_node.hold_port(address) as held:
            port: int = held.getsockname()[1]
            private, public = local_node.make_host_key(self._records.folder(cluster))
            files |= {"host_key": (private, 0o600), **local_node.server_files(home, about, address, port, request.ssh_key)}
            self._records.add(cluster, msgspec.structs.replace(record, port=port, host_key=public), files)
            local_node.start(self._sshd, home, about)

    def _end(self, cluster: str, name: str) -> None:
        local_node.end(self._records.home(cluster, name), self._records.about(cluster, name))
        self._records.remove(cluster, name)

    def _is_live(self, cluster: str, record: Record) -> bool:
        return not record.port or local_node.is_up(self._records.about(cluster, record.name))

    def _node(self, cluster: str, record: Record) -> Node:
        node = Node(record.name, record.type, record.role, record.preemptible, record.address, record.address, record.launched)
        return replace(node, port=record.port or 22, user=getpass.getuser(), host_keys=(record.host_key,) if record.host_key else ())


def _free_address(used: set[str]) -> str:
    while True:
        address = f"127.0.{random.randint(1, 254)}.{random.randint(1, 254)}"
        if address not in used:
            return address
