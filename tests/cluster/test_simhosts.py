from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import a_lab
from tests.cluster.simhost_plugin import FOLDER, SimhostProvisioner
from tests.cluster.simhosts import Lab
from toil_core.errors import Transient
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node, NodeRequest, Provisioner
from toil_core.sync_transport import SyncTransport, TransportOptions, wait_for_node
from toil_core.testing.provisioner import ProvisionerContract
from toil_core.testing.ssh_server import make_key


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with a_lab() as lab:
        yield lab


@pytest.fixture
def provisioner(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimhostProvisioner]:
    monkeypatch.setenv(FOLDER, str(lab.folder))
    with SimhostProvisioner(Config()) as provisioner:
        yield provisioner


class TestSimhostProvisioner(ProvisionerContract):
    @pytest.fixture
    def open_provisioner(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Provisioner]:
        monkeypatch.setenv(FOLDER, str(lab.folder))
        return lambda: SimhostProvisioner(Config())


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[SyncTransport]:
    make_key(tmp_path / "key")
    with open_sync_transport("ssh", Config([TransportOptions(ssh_identity=(str(tmp_path / "key"),), connect_timeout=3)])) as transport:
        yield transport


@pytest.fixture
def nodes(provisioner: SimhostProvisioner, transport: SyncTransport, tmp_path: Path) -> Iterator[list[Node]]:
    """Two that can be reached."""
    provisioner.prepare("two")
    key = (tmp_path / "key.pub").read_text().strip()
    provisioner.launch("two", [NodeRequest(f"worker-{number}", "sim.small", "worker", ssh_key=key, boot=b"#!/bin/sh\necho booted >/root/boot\n") for number in (1, 2)])
    nodes = list(provisioner.nodes("two"))
    for node in nodes:
        wait_for_node(transport, node, 60)
    yield nodes
    provisioner.destroy("two")


def test_hosts_are_hosts(nodes: list[Node], transport: SyncTransport, provisioner: SimhostProvisioner) -> None:
    one, two = nodes
    assert [transport.run(node, ["hostname"]).stdout for node in nodes] == [b"two.worker-1\n", b"two.worker-2\n"]
    assert b"sshd" in transport.run(one, ["ps", "-A", "-o", "comm"]).stdout
    assert b"pytest" not in transport.run(one, ["ps", "-A", "-o", "args"]).stdout
    transport.run(one, ["sh", "-c", "echo mine >/opt/mine; echo ours >/srv/shared/ours"])
    assert transport.run(two, ["ls", "/opt/mine"]).returncode != 0
    assert transport.run(two, ["cat", "/srv/shared/ours"]).stdout == b"ours\n"
    script = f"import socket; print(socket.create_connection(({two.private_address!r}, 22), 10).recv(4))"
    assert transport.run(one, ["python3", "-c", script]).stdout == b"b'SSH-'\n"
    script = "import socket; socket.create_connection(('10.77.255.1', 22), 5)"
    assert transport.run(one, ["python3", "-c", script]).returncode == 1


def test_hosts_fail_as_hosts_do(nodes: list[Node], transport: SyncTransport, provisioner: SimhostProvisioner) -> None:
    lab, (one, two) = provisioner.lab, nodes
    lab.cut("two.worker-1")
    with pytest.raises(Transient):
        transport.run(one, ["true"], timeout=1)
    assert one in list(provisioner.nodes("two"))
    lab.heal("two.worker-1")
    wait_for_node(transport, one, 60)
    lab.slow("two.worker-1", "1mbit")
    assert transport.run(one, ["echo", "slow"]).stdout == b"slow\n"
    lab.fast("two.worker-1")
    lab.stop("two.worker-2")
    assert list(provisioner.nodes("two")) == [one]
    lab.start("two.worker-2")
    wait_for_node(transport, two, 60)
    lab.terminate("two.worker-2")
    assert list(provisioner.nodes("two")) == [one]
