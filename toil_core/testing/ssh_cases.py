"""What every transport over SSH must do beside the contract: host keys, keys, jump hosts, addresses, and what it says when it is refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest

from toil_core.errors import HostKeyChanged, KeyRefused, ToilError, Transient, Unreachable
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import CanForward, SyncTransport, TransportOptions, wait_for_node
from toil_core.testing.needs import need, small_disk
from toil_core.testing.ssh_server import SshServer, make_key, missing
from toil_core.testing.sync_transport import SyncTransportContract, echoed


class SshContract(SyncTransportContract):
    """The transport's contract, against one real server on this machine for all cases; set `driver`."""

    driver = ""
    """The transport's name."""

    _until: ClassVar[ExitStack]
    _folder: ClassVar[Path]
    _server: ClassVar[SshServer]
    _transport: ClassVar[SyncTransport]

    @classmethod
    def setup_class(cls) -> None:
        """Start the server, and open the transport."""
        need(missing())
        with ExitStack() as until:
            folder = cls._folder = Path(until.enter_context(TemporaryDirectory(prefix="ssh-cases-")))
            make_key(folder / "key")
            cls._server = until.enter_context(SshServer(folder / "n1", (folder / "key.pub").read_text()))
            options = TransportOptions(ssh_identity=(str(folder / "key"),), ssh_known_hosts=str(folder / "known"))
            cls._transport = until.enter_context(open_sync_transport(cls.driver, Config([options])))
            cls._until = until.pop_all()

    @classmethod
    def teardown_class(cls) -> None:
        """End them."""
        cls._until.close()

    @pytest.fixture
    def transport(self) -> SyncTransport:
        """The one transport."""
        return self._transport

    @pytest.fixture
    def node(self) -> Node:
        """The server."""
        return self._server.node

    def await_hang_up(self) -> None:
        """Return once the server's sessions have ended."""
        self._server.ended(self.seconds)

    @pytest.fixture
    def absent(self) -> Iterator[Node]:
        """A node that refuses connections; its port is kept, so that nobody else listens there."""
        with socket.socket() as kept:
            kept.bind(("127.0.0.1", 0))
            yield replace(self._server.node, name="n2", port=kept.getsockname()[1])

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[PurePosixPath]:
        """A small disk of this machine, which the server sees as well."""
        with small_disk(tmp_path / "disk") as folder:
            yield PurePosixPath(folder)


class SshCases:
    """Cases against real servers on this machine; set `driver`."""

    driver = ""
    """The transport's name."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder with a pair of keys, `key` and `key.pub`."""
        need(missing())
        make_key(tmp_path / "key")
        return tmp_path

    @pytest.fixture
    def host(self, folder: Path) -> Iterator[SshServer]:
        """A server that lets the key in."""
        with SshServer(folder / "n1", (folder / "key.pub").read_text()) as host:
            yield host

    @contextmanager
    def opened(self, folder: Path, **more: object) -> Iterator[SyncTransport]:
        """The transport, with these options beside the usual ones."""
        options = TransportOptions(ssh_identity=(str(folder / "key"),), ssh_known_hosts=str(folder / "known" / "hosts"), connect_timeout=60.0)
        with open_sync_transport(self.driver, Config([replace(options, **more)])) as transport:  # type: ignore[arg-type]
            yield transport

    def refusal(self, folder: Path, host: SshServer, **more: object) -> ToilError:
        """What the transport raises instead of running a command: one line."""
        with self.opened(folder, **more) as transport, pytest.raises(ToilError) as raised:
            transport.run(host.node, ["true"])
        assert "\n" not in str(raised.value) and host.name in str(raised.value)
        return raised.value

    def test_commands_share_a_connection(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder) as transport, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: transport.run(host.node, ["true"], b"that nobody reads" * (number % 2)), range(16)))
            (folder / "f").write_text("content")
            transport.push(host.node, folder / "f", PurePosixPath("f"))
        assert host.connections == 1

    def test_a_node_may_allow_few_sessions(self, folder: Path) -> None:
        content = folder / "f"
        content.write_text("content")
        with SshServer(folder / "few", (folder / "key.pub").read_text(), sessions=2) as host, self.opened(folder) as transport, ThreadPoolExecutor(8) as pool:
            copies = [pool.submit(transport.push, host.node, content, PurePosixPath(f"f{number}")) for number in range(4)]
            done = list(pool.map(lambda number: transport.run(host.node, ["sh", "-c", f"echo {number}; echo no >&2"]), range(16)))
            for copy in copies:
                copy.result()
            assert [(each.stdout, each.stderr) for each in done] == [(f"{number}\n".encode(), b"no\n") for number in range(16)]
            assert {path.read_text() for path in host.home.glob("f?")} == {"content"} and len(list(host.home.glob("f?"))) == 4

    def test_the_first_key_counts_from_then_on(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder) as transport:
            transport.run(host.node, ["true"])
        assert (folder / "known" / "hosts").read_text().split()[:3] == [host.name, *host.host_key.split()]
        with self.opened(folder) as transport:
            transport.run(host.node, ["true"])
        host.new_host_key()
        for _ in range(2):
            error = self.refusal(folder, host)
            assert isinstance(error, HostKeyChanged) and "known from earlier" in str(error)
        assert len((folder / "known" / "hosts").read_text().splitlines()) == 1

    def test_a_node_is_known_by_its_name(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder) as transport, SshServer(folder / "other", (folder / "key.pub").read_text(), "n2") as other:
            transport.run(host.node, ["true"])
            transport.run(other.node, ["true"])
        moved = replace(host.node, public_address="localhost")
        with self.opened(folder) as transport:
            transport.run(moved, ["true"])
            with pytest.raises(HostKeyChanged):
                transport.run(replace(moved, name="n2"), ["true"])

    def test_a_key_that_was_told_of_counts(self, folder: Path, host: SshServer) -> None:
        node = replace(host.node, host_keys=(host.host_key,))
        with self.opened(folder) as transport:
            assert transport.run(node, ["echo", "on"]).stdout == b"on\n"
        assert not (folder / "known" / "hosts").exists() or (folder / "known" / "hosts").read_text() == ""
        host.new_host_key()
        with self.opened(folder) as transport, pytest.raises(HostKeyChanged, match="cloud told of"):
            transport.run(node, ["true"])

    def test_a_key_of_another_kind_is_not_the_one_that_was_told_of(self, folder: Path, host: SshServer) -> None:
        told = " ".join(make_key(folder / "ecdsa", "ecdsa").split()[:2])
        with self.opened(folder) as transport, pytest.raises(HostKeyChanged, match="cloud told of"):
            transport.run(replace(host.node, host_keys=(told,)), ["true"])

    def test_a_key_that_is_refused(self, folder: Path, host: SshServer) -> None:
        make_key(folder / "stranger")
        error = self.refusal(folder, host, ssh_identity=(str(folder / "stranger"),))
        assert isinstance(error, KeyRefused) and "stranger" in str(error) and "--ssh-identity" in str(error)

    def test_a_key_that_is_not_there(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder, ssh_identity=(str(folder / "nowhere"),)) as transport, pytest.raises(Unreachable, match="nowhere"):
            transport.run(host.node, ["true"])

    def test_several_keys_are_tried(self, folder: Path, host: SshServer) -> None:
        make_key(folder / "stranger")
        with self.opened(folder, ssh_identity=(str(folder / "stranger"), str(folder / "key"))) as transport:
            transport.run(host.node, ["true"])

    def test_an_agent_has_the_key(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        started = subprocess.run(["ssh-agent", "-s", "-a", str(folder / "agent")], capture_output=True, text=True, check=True)
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "agent"))
            subprocess.run(["ssh-add", "-q", str(folder / "key")], check=True, capture_output=True)
            subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(folder / "key")], check=True)
            with self.opened(folder) as transport:  # the file is locked, and the agent stands for it
                transport.run(host.node, ["true"])
            (folder / "key").unlink()
            with self.opened(folder, ssh_identity=()) as transport:
                transport.run(host.node, ["true"])
        finally:
            os.kill(int(re.findall(r"SSH_AGENT_PID=(\d+)", started.stdout)[0]), signal.SIGTERM)

    def test_a_host_that_lets_the_key_in_later_is_waited_for(self, folder: Path, host: SshServer) -> None:
        allowed = host.folder / "authorized_keys"
        content = allowed.read_text()
        allowed.write_text("")
        with self.opened(folder) as transport:
            with pytest.raises(KeyRefused):
                transport.run(host.node, ["true"])
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(wait_for_node, transport, host.node, 60)
                allowed.write_text(content)
                waiting.result(90)

    def test_nobody_knows_the_name(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder) as transport, pytest.raises((Unreachable, Transient), match=r"name no-such-host\.invalid"):
            transport.run(replace(host.node, public_address="no-such-host.invalid"), ["true"])

    def test_a_node_by_ipv6(self, folder: Path) -> None:
        try:
            host = SshServer(folder / "six", (folder / "key.pub").read_text(), "six", "::1")
        except OSError as error:
            pytest.skip(f"no IPv6 here: {error}")
        with host, self.opened(folder) as transport:
            (folder / "f").write_text("content")
            transport.push(host.node, folder / "f", PurePosixPath("f"))
            assert transport.run(host.node, ["cat", "f"]).stdout == b"content"

    @pytest.mark.parametrize("hops", [1, 2])
    def test_through_jump_hosts(self, folder: Path, host: SshServer, hops: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(folder))
        public = (folder / "key.pub").read_text()
        with SshServer(folder / "j1", public, "j1", "127.0.0.2") as one, SshServer(folder / "j2", public, "j2", "127.0.0.3") as two:
            jumps = [one, two][:hops]
            (folder / "known").mkdir()
            (folder / "known" / "hosts").write_text("".join(f"[{jump.address}]:{jump.port} {jump.host_key}\n" for jump in jumps))
            options = tuple(f"{jump.node.user}@{jump.address}:{jump.port}" for jump in jumps)
            with self.opened(folder, ssh_jump=options) as transport:
                assert transport.run(host.node, ["echo", "on"]).stdout == b"on\n"
                (folder / "f").write_text("content")
                transport.push(host.node, folder / "f", PurePosixPath("f"))
            assert all(jump.connections == 1 for jump in jumps)

    def test_a_jump_host_that_is_not_known(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(folder))
        with SshServer(folder / "j1", (folder / "key.pub").read_text(), "j1", "127.0.0.2") as jump:
            error = self.refusal(folder, host, ssh_jump=(f"{jump.node.user}@127.0.0.2:{jump.port}",))
        assert isinstance(error, Unreachable) and "jump host" in str(error) and "not known" in str(error)

    def test_a_lost_connection_is_told_and_made_anew(self, folder: Path, host: SshServer) -> None:
        with self.opened(folder) as transport, ThreadPoolExecutor(1) as pool:
            running = pool.submit(transport.run, host.node, ["sh", "-c", "touch begun; sleep 60"])
            transport.run(host.node, ["sh", "-c", "while ! test -e begun; do sleep 0.02; done"])
            host.signal(signal.SIGKILL)
            with pytest.raises(Transient, match=host.name):
                running.result(60)
            wait_for_node(transport, host.node, 30)
            assert transport.run(host.node, ["echo", "on"]).stdout == b"on\n"

    def test_a_forwarded_port_leads_nowhere_once_the_host_is_gone(self, folder: Path) -> None:
        with self.opened(folder) as transport, SshServer(folder / "short", (folder / "key.pub").read_text()) as host:
            if not isinstance(transport, CanForward):
                pytest.skip("it forwards no ports")
            with transport.forward(host.node, 1) as local:
                host.close()
                with pytest.raises(Transient, match=host.name):
                    transport.run(host.node, ["true"])
                with suppress(ConnectionError):
                    assert echoed(local, b"x") == b""

    def test_a_host_that_says_nothing_is_given_up(self, folder: Path, host: SshServer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, self.opened(folder, connect_timeout=1.0) as transport:
            node = replace(host.node, port=silent.getsockname()[1])
            with pytest.raises(Transient, match="does not answer"):
                transport.run(node, ["true"])

    def test_a_greeting_of_the_login_is_no_output(self, folder: Path, host: SshServer) -> None:
        session = host.folder / "session"
        session.write_text("echo welcome >&2\n" + session.read_text())
        with self.opened(folder) as transport:
            done = transport.run(host.node, ["echo", "on"])
        assert done.stdout == b"on\n" and re.fullmatch(rb"(welcome\n)*", done.stderr)
