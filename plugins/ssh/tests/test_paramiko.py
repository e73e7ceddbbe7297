from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from toil_core.errors import BadOption, CannotCopy, KeyRefused
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport, TransportOptions
from toil_core.testing.ssh_cases import SshCases
from toil_core.testing.ssh_server import SshServer, make_key, missing
from toil_core.testing.sync_transport import SyncTransportContract


def needs_servers() -> None:
    """Skip the test where programs are missing; fail it in CI."""
    if missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_servers()
    folder = tmp_path_factory.mktemp("ssh")
    make_key(folder / "key")
    return folder


@pytest.fixture(scope="module")
def server(keys: Path) -> Iterator[SshServer]:
    with SshServer(keys / "n1", (keys / "key.pub").read_text()) as server:
        yield server


@pytest.fixture(scope="module")
def opened(keys: Path) -> Iterator[SyncTransport]:
    options = TransportOptions(ssh_identity=(str(keys / "key"),), ssh_known_hosts=str(keys / "known"))
    with open_sync_transport("paramiko", Config([options])) as transport:
        yield transport


class TestParamikoTransport(SyncTransportContract):
    @pytest.fixture
    def transport(self, opened: SyncTransport) -> SyncTransport:
        return opened

    @pytest.fixture
    def node(self, server: SshServer) -> Node:
        return server.node

    @pytest.fixture
    def absent(self, keys: Path) -> Node:
        with SshServer(keys / "n2", "", "n2") as gone:
            return gone.node

    @pytest.fixture
    def small(self) -> Iterator[PurePosixPath]:
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False).returncode:
                pytest.skip("only root can make a small file system: mount -t tmpfs")
            yield PurePosixPath(folder)
            subprocess.run(["umount", "-l", folder], check=True)

    def test_a_full_disk_here_is_told(self, transport: SyncTransport, node: Node, small: PurePosixPath, place: PurePosixPath) -> None:
        transport.run(node, ["sh", "-c", f"head -c 4000000 /dev/urandom >{place}"])
        with pytest.raises(CannotCopy, match="no space left on this machine"):
            transport.pull(node, place, Path(small) / "f")
        assert os.listdir(small) == []


class TestHosts(SshCases):
    driver = "paramiko"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        needs_servers()
        make_key(tmp_path / "key")
        return tmp_path

    def test_settings_for_ssh_are_refused(self) -> None:
        with pytest.raises(BadOption, match="--ssh-option"):
            open_sync_transport("paramiko", Config([TransportOptions(ssh_option=("Compression=yes",))]))

    def test_a_key_with_a_passphrase(self, folder: Path, host: SshServer) -> None:
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(folder / "key")], check=True)
        error = self.refusal(folder, host)
        assert isinstance(error, KeyRefused) and "ssh-add" in str(error)

    def test_what_is_no_key(self, folder: Path, host: SshServer) -> None:
        (folder / "key").write_text("nothing")
        error = self.refusal(folder, host)
        assert isinstance(error, KeyRefused) and f"{folder}/key is no key" in str(error)

    def test_no_program_is_needed(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.opened(folder) as transport:
            monkeypatch.setenv("PATH", str(folder))
            transport.push(host.node, folder / "key.pub", PurePosixPath("f"))
            assert transport.run(host.node, ["cat", "f"]).stdout == (folder / "key.pub").read_bytes()

    def test_two_hundred_hosts_at_once(self, folder: Path) -> None:
        count = 200
        together = threading.Barrier(count, timeout=100)
        with SshServer(folder / "many", (folder / "key.pub").read_text(), ports=count) as host, self.opened(folder, connect_timeout=90.0) as transport:

            def work(node: Node) -> bytes:
                (folder / node.name).write_text(node.name)
                transport.run(node, ["true"])
                together.wait()  # all are connected now
                transport.push(node, folder / node.name, PurePosixPath(f"copy-{node.name}"))
                return transport.run(node, ["cat", f"copy-{node.name}"]).stdout

            with ThreadPoolExecutor(count) as pool:
                assert list(pool.map(work, host.nodes)) == [node.name.encode() for node in host.nodes]
            assert host.connections == count
