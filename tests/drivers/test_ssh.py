from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.drivers.servers import needs_ssh
from tests.small_disk import small_disk
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport, TransportOptions
from toil_core.testing.ssh_server import SshServer, make_key
from toil_core.testing.sync_transport import SyncTransportContract


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_ssh()
    folder = tmp_path_factory.mktemp("ssh")
    make_key(folder / "key")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[SshServer]:
    with SshServer(folder / "n1", (folder / "key.pub").read_text()) as server:
        yield server


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[SyncTransport]:
    options = TransportOptions(ssh_identity=(str(folder / "key"),), ssh_known_hosts=str(folder / "known"))
    with open_sync_transport("ssh", Config([options])) as transport:
        yield transport


class TestSshTransport(SyncTransportContract):
    @pytest.fixture
    def transport(self, opened: SyncTransport) -> SyncTransport:
        return opened

    @pytest.fixture
    def node(self, server: SshServer) -> Node:
        return server.node

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[PurePosixPath]:
        with small_disk(tmp_path / "disk") as folder:
            yield PurePosixPath(folder)

    @pytest.fixture
    def absent(self, folder: Path) -> Node:
        with SshServer(folder / "n2", "", "n2") as gone:
            return gone.node
