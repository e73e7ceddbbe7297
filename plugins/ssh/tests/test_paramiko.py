from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from toil_core.errors import BadOption, CannotCopy, KeyRefused
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport, TransportOptions
from toil_core.testing.ssh_cases import SshCases, SshContract
from toil_core.testing.ssh_server import SshServer


class TestParamikoTransport(SshContract):
    driver = "paramiko"

    def test_a_full_disk_here_is_told(self, transport: SyncTransport, node: Node, small: PurePosixPath, place: PurePosixPath) -> None:
        transport.run(node, ["sh", "-c", f"head -c 4000000 /dev/urandom >{place}"])
        with pytest.raises(CannotCopy, match="no space left on this machine"):
            transport.pull(node, place, Path(small) / "f")
        assert os.listdir(small) == []


class TestHosts(SshCases):
    driver = "paramiko"

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
