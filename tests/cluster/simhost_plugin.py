"""The provisioner `simhost`: a cloud of simulated hosts, for tests. Its lab is in the folder that the variable SIMHOST_FOLDER names."""

from __future__ import annotations

import difflib
import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.cluster.simhosts import Lab
from toil_core.errors import BadOption
from toil_core.options import Config
from toil_core.provisioner import Node, NodeRequest, NodeType, Provisioner, Resource, Shortage

FOLDER = "SIMHOST_FOLDER"
_GIB = 1 << 30
TYPES = (
    NodeType("sim.small", 1, _GIB, 4 * _GIB, 0.05, 0.02),
    NodeType("sim.large", 2, 2 * _GIB, 8 * _GIB, 0.10, 0.04),
)


class SimhostProvisioner(Provisioner):
    """Hosts of the lab; a host's name is `CLUSTER.NODE`.

    Args:
        config: Not used.
    """

    owns_system = False  # its hosts have this machine's packages, and no way to any others

    def __init__(self, config: Config) -> None:
        self.lab = Lab(Path(os.environ[FOLDER]))
        self._clusters = self.lab.folder / "clusters"

    def catalog(self) -> Sequence[NodeType]:
        return TYPES

    def prepare(self, cluster: str) -> None:
        (self._clusters / cluster).mkdir(parents=True, exist_ok=True)

    def launch(self, cluster: str, requests: Iterable[NodeRequest]) -> Sequence[Shortage]:
        requests = list(requests)
        names = [type.name for type in TYPES]
        for request in requests:
            if request.type not in names:
                raise BadOption(f"there is no node type {request.type!r}; did you mean {difflib.get_close_matches(request.type, names, 1, 0)[0]}?")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda request: self._launch(cluster, request), requests))
        return ()

    def nodes(self, cluster: str) -> Iterable[Node]:
        return [node for path in sorted((self._clusters / cluster).glob("*.json")) if (node := self._node(cluster, path)) is not None]

    def terminate(self, cluster: str, names: Iterable[str]) -> None:
        for name in names:
            self.lab.terminate(f"{cluster}.{name}")
            (self._clusters / cluster / f"{name}.json").unlink(missing_ok=True)

    def destroy(self, cluster: str) -> None:
        folder = self._clusters / cluster
        if folder.exists():
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda path: self.terminate(cluster, [path.stem]), folder.glob("*.json")))
            folder.rmdir()

    def clusters(self) -> Iterable[str]:
        return [path.name for path in self._clusters.glob("*")]

    def inventory(self, cluster: str) -> Iterable[Resource]:
        if (self._clusters / cluster).exists():
            yield Resource("folder", cluster)
        yield from (Resource("host", host.name) for host in self.lab.hosts() if host.name.startswith(f"{cluster}."))

    def _launch(self, cluster: str, request: NodeRequest) -> None:
        name, record = f"{cluster}.{request.name}", self._clusters / cluster / f"{request.name}.json"
        with self.lab.locked(name):
            if record.exists() and self.lab.is_up(name):
                return
            self.terminate(cluster, [request.name])
            node = Node(request.name, request.type, request.role, request.preemptible, launched=time.time(), user="root")
            record.write_text(json.dumps(asdict(node)))
            self.lab.launch(name, request.ssh_key, request.boot)

    def _node(self, cluster: str, path: Path) -> Node | None:
        name = f"{cluster}.{path.stem}"
        try:
            if not self.lab.is_up(name):
                return None
            host, about = self.lab.host(name), json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return Node(**{**about, "private_address": host.address, "public_address": host.address, "host_keys": (host.host_key,)})
