from __future__ import annotations

import getpass
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

import paramiko
import pytest
from toil_core.errors import BadOption, CannotCopy, KeyRefused, Transient, UsageError
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import CanForward, HasShell, SyncTransport, TransportOptions
from toil_core.testing.needs import need
from toil_core.testing.ssh_cases import SshCases, SshContract
from toil_core.testing.ssh_server import SshServer, make_key, missing


class TestParamikoTransport(SshContract):
    driver = "paramiko"
    abilities = (CanForward, HasShell)

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

    def test_a_command_whose_time_is_over_before_it_begins_is_given_up(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The host answers neither to the session nor, in the second case, to the command in it."""
        with self.opened(folder) as transport:
            transport.run(host.node, ["true"])
            host.signal(signal.SIGSTOP)
            with pytest.raises(Transient, match=r"sleep 50 was not done in 0\.1 s"):
                transport.run(host.node, ["sleep", "50"], timeout=0.1)
            host.signal(signal.SIGCONT)
            execute = paramiko.Channel.exec_command

            def stopped(channel: paramiko.Channel, command: bytes) -> None:
                host.signal(signal.SIGSTOP)
                execute(channel, command)

            with monkeypatch.context() as patched, pytest.raises(Transient, match=r"sleep 50 was not done in 0\.1 s"):
                patched.setattr(paramiko.Channel, "exec_command", stopped)
                transport.run(host.node, ["sleep", "50"], timeout=0.1)
            host.signal(signal.SIGCONT)
            assert transport.run(host.node, ["echo", "on"]).stdout == b"on\n"

    def test_no_program_is_needed(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.opened(folder) as transport:
            monkeypatch.setenv("PATH", str(folder))
            transport.push(host.node, folder / "key.pub", PurePosixPath("f"))
            assert transport.run(host.node, ["cat", "f"]).stdout == (folder / "key.pub").read_bytes()

    def test_two_hundred_hosts_at_once(self, folder: Path) -> None:
        count = 200
        together = threading.Barrier(count, timeout=240)
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


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a pair of keys."""
    need(missing())
    (tmp_path / "keys").mkdir()
    make_key(tmp_path / "keys" / "key")
    return tmp_path / "keys"


@pytest.fixture
def server(keys: Path) -> Iterator[SshServer]:
    """A host that lets the key in."""
    with SshServer(keys / "n1", (keys / "key.pub").read_text()) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has a file for ssh."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "home"


def reached(node: Node, home: Path, **more: object) -> bytes:
    options = TransportOptions(ssh_known_hosts=str(home / "known"), connect_timeout=60.0)
    with open_sync_transport("paramiko", Config([replace(options, **more)])) as transport:  # type: ignore[arg-type]
        return transport.run(node, ["echo", "there"]).stdout


def test_what_ssh_was_told_of_a_node_counts(server: SshServer, keys: Path, home: Path) -> None:
    node = replace(server.node, user="")
    with pytest.raises(KeyRefused):
        reached(node, home)
    mine = f"User {getpass.getuser()}\nIdentityFile {keys}/key\nIdentityFile {keys}/nowhere\nPort 1\nHostName nowhere.invalid\n"
    (home / ".ssh" / "config").write_text(f"Host other\nUser nobody\nHost {server.address}\n{mine}Host *\nUser nobody\n")
    assert reached(node, home) == b"there\n"
    with pytest.raises(KeyRefused, match="let nobody in"):
        reached(node, home, ssh_user="nobody")


def test_a_jump_host_may_have_a_name_that_only_ssh_was_told_of(server: SshServer, keys: Path, home: Path) -> None:
    with SshServer(keys / "jump", (keys / "key.pub").read_text(), "jump") as first, SshServer(keys / "jump2", (keys / "key.pub").read_text(), "jump2") as second:
        known = "".join(f"[127.0.0.1]:{each.port} {each.host_key}\n" for each in (first, second))
        (home / ".ssh" / "known_hosts").write_text(known)
        config = f"IdentityFile {keys}/key\n" + "".join(
            f"Host {name}\nHostName 127.0.0.1\nPort {each.port}\nUser {getpass.getuser()}\n" for name, each in (("door", first), ("gate", second))
        )
        (home / ".ssh" / "config").write_text(f"{config}Host gate\nProxyJump door\n")
        assert reached(server.node, home, ssh_jump=("gate",)) == b"there\n"
        assert (first.connections, second.connections) == (1, 1)
        (home / ".ssh" / "config").write_text(f"{config}Host {server.address}\nProxyJump door,gate\n")
        assert reached(server.node, home) == b"there\n"
        assert (first.connections, second.connections) == (2, 2)


def test_a_file_that_cannot_be_understood_is_a_line(server: SshServer, home: Path) -> None:
    for text in ("Host *\nPort many\n", "Host *\nProxyJump a:b:c\n", "Match nonsense\n"):
        (home / ".ssh" / "config").write_text(text)
        with pytest.raises(UsageError, match="config says of 127.0.0.1 cannot be used here") as raised:
            reached(server.node, home)
        assert "\n" not in str(raised.value)
