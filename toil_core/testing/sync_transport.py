"""The sync transport contract as tests: subclass, give a transport and a node, get every case.

    class TestMyTransport(SyncTransportContract):
        @pytest.fixture
        def transport(self) -> Iterator[SyncTransport]:
            with MyTransport(Config()) as transport:
                yield transport

        @pytest.fixture
        def node(self) -> Node:
            return Node("n1", "small", "worker", public_address="203.0.113.5")

The node needs a shell and GNU's usual programs. Cases for optional abilities skip themselves when the driver has none of them.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import ClassVar
from uuid import uuid4

import pytest

from toil_core.errors import Transient
from toil_core.provisioner import Node
from toil_core.sync_transport import CanForward, CanRsync, HasShell, SyncTransport
from toil_core.testing.abilities import check_abilities
from toil_core.testing.copy_cases import CopyCases, tree
from toil_core.testing.terminal import Streams, terminal
from toil_core.worker import procfs

WORDS = [
    "", " ", "a b", "'", '"', "''", "it's", "$HOME", "${HOME}", "`id`", "$(id)", "*", "?", "[a]", "~", "\\", "\\\\n", "!x", "a\nb", "\n", "\t", "-n", "--", "a=b", ";", "&&", "|",
    "<", ">", "#", "{a,b}", "%s", "%%", "ü", "日本語", "x" * 5000, "\r", ":x", "(", ")", "&",
]  # fmt: skip
"""Words that some way of passing a command on has changed."""


class SyncTransportContract(CopyCases):
    """Every promise of `toil_core.sync_transport`, as one test each.

    Override `transport` and `node`; `absent` and `small` where they can be had.
    """

    seconds = 60.0
    """How long anything may take."""
    abilities: ClassVar[Collection[type]] = ()
    """The optional abilities that the driver is meant to have, `HasShell` for example; cases of others are skipped where it has not these."""

    @pytest.fixture
    def transport(self) -> Iterator[SyncTransport]:
        """The transport under test; it may be the same one for all cases."""
        raise NotImplementedError("override the transport fixture")

    @pytest.fixture
    def node(self) -> Node:
        """A node that it reaches."""
        raise NotImplementedError("override the node fixture")

    @pytest.fixture
    def absent(self) -> Node:
        """A node that does not answer."""
        pytest.skip("no absent node given")

    @pytest.fixture
    def small(self) -> PurePosixPath:
        """A folder on the node where hardly a megabyte has room."""
        pytest.skip("no small disk given")

    def await_hang_up(self) -> None:
        """Return once the node has noticed that the transport is closed; to be overridden where its server is a child of the tests' process."""

    @pytest.fixture
    def place(self, transport: SyncTransport, node: Node) -> PurePosixPath:
        """A path on the node that nothing has yet."""
        return PurePosixPath(f"toil-test-{uuid4().hex[:12]}")

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        """A folder here, with a bit of everything."""
        return tree(tmp_path / "source")

    @pytest.fixture(autouse=True)
    def _cleaned(self, transport: SyncTransport, node: Node, place: PurePosixPath) -> Iterator[None]:
        yield
        transport.run(node, ["rm", "-rf", "--", str(place), f"{place}-2"])

    def test_it_has_the_abilities_that_it_claims(self, transport: SyncTransport) -> None:
        check_abilities(transport, self.abilities)

    # Running

    def test_output_and_exit_code_arrive(self, transport: SyncTransport, node: Node) -> None:
        done = transport.run(node, ["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")

    @pytest.mark.parametrize("code", [0, 1, 100, 126, 127, 254, 255])
    def test_any_exit_code_is_the_commands_own(self, transport: SyncTransport, node: Node, code: int) -> None:
        done = transport.run(node, ["sh", "-c", f"printf said >&2; exit {code}"])
        assert (done.returncode, done.stderr) == (code, b"said")

    def test_a_command_ended_by_a_signal(self, transport: SyncTransport, node: Node) -> None:
        assert transport.run(node, ["sh", "-c", "kill -9 $$"]).returncode == 128 + signal.SIGKILL
        assert transport.run(node, ["sh", "-c", "kill -15 $$"]).returncode == 128 + signal.SIGTERM

    def test_a_program_that_is_not_there(self, transport: SyncTransport, node: Node, place: PurePosixPath) -> None:
        done = transport.run(node, [f"toil-no-such-program-{place}", "x"])
        assert done.returncode == 127 and done.stderr
        transport.run(node, ["touch", str(place)])
        assert transport.run(node, [f"./{place}"]).returncode == 126

    @pytest.mark.parametrize("word", WORDS, ids=ascii)
    def test_a_word_arrives_as_it_is(self, transport: SyncTransport, node: Node, word: str) -> None:
        assert transport.run(node, ["printf", "%s|%s", "-", word]).stdout == f"-|{word}".encode()

    def test_a_thousand_words(self, transport: SyncTransport, node: Node) -> None:
        words = [f"word {number}" for number in range(1000)]
        assert transport.run(node, ["printf", "%s\\n", *words]).stdout.decode().splitlines() == words

    @pytest.mark.parametrize("size", [0, 1, 65536, 8 << 20])
    def test_any_bytes_go_in_and_out(self, transport: SyncTransport, node: Node, size: int) -> None:
        data = bytes(range(256)) * (size // 256 + 1)
        assert transport.run(node, ["cat"], data[:size]).stdout == data[:size]

    def test_much_on_both_outputs_at_once(self, transport: SyncTransport, node: Node) -> None:
        done = transport.run(node, ["sh", "-c", "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero"])
        assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)

    def test_input_that_is_not_read_is_dropped(self, transport: SyncTransport, node: Node) -> None:
        assert transport.run(node, ["true"], bytes(4 << 20)).returncode == 0
        assert transport.run(node, ["head", "-c", "2"], b"ab" + bytes(4 << 20)).stdout == b"ab"

    def test_there_is_no_input_unless_given(self, transport: SyncTransport, node: Node) -> None:
        assert transport.run(node, ["cat"]).stdout == b""
        assert transport.run(node, ["sh", "-c", "test -t 0 || test -t 1"]).returncode == 1

    def test_commands_start_at_home(self, transport: SyncTransport, node: Node) -> None:
        done = transport.run(node, ["sh", "-c", 'cd "$HOME" && pwd -P'])
        assert transport.run(node, ["pwd", "-P"]).stdout == done.stdout != b""

    def test_the_environment_stays_here(self, transport: SyncTransport, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = uuid4().hex
        for name in ("LC_TOIL_CANARY", "CANARY_TOKEN"):
            monkeypatch.setenv(name, secret)
        transport.close()  # so that it connects with the secret around
        assert secret.encode() not in transport.run(node, ["env"]).stdout
        assert secret.encode() not in transport.run(node, ["sh", "-c", "cat /proc/*/environ"]).stdout

    def test_a_command_that_takes_too_long_is_given_up(self, transport: SyncTransport, node: Node) -> None:
        with pytest.raises(Transient, match=r"sleep.*0\.5"):
            transport.run(node, ["sleep", "50"], timeout=0.5)
        with pytest.raises(Transient, match=r"^[^\n]{,150} was not done in 0\.5 s$"):
            transport.run(node, ["sh", "-c", "\n\nsleep 50\n" * 50], timeout=0.5)
        assert transport.run(node, ["echo", "on"], timeout=self.seconds).stdout == b"on\n"

    def test_a_daemon_that_holds_the_output_is_given_up(self, transport: SyncTransport, node: Node) -> None:
        transport.run(node, ["true"])  # so that it is connected, and the command starts in time
        with pytest.raises(Transient, match=r"was not done in 5 s$"):
            transport.run(node, ["sh", "-c", "setsid sh -c 'sleep 60; touch ended' & echo $! >held"], timeout=5.0)
        done = transport.run(node, ["sh", "-c", 'test ! -e ended && kill -s KILL -- "-$(cat held)"'], timeout=self.seconds)
        assert done.returncode == 0, done.stderr  # it ran still: nobody waited for it

    def test_what_is_left_running_holds_nothing(self, transport: SyncTransport, node: Node) -> None:
        done = transport.run(node, ["sh", "-c", "sleep 50 >/dev/null 2>&1 </dev/null & echo $!"], timeout=self.seconds)
        assert transport.run(node, ["kill", done.stdout.decode().strip()]).returncode == 0

    def test_many_commands_at_once(self, transport: SyncTransport, node: Node) -> None:
        with ThreadPoolExecutor(24) as pool:
            done = list(pool.map(lambda number: transport.run(node, ["sh", "-c", f"sleep 0.2; echo {number}"]), range(48)))
        assert [each.stdout for each in done] == [f"{number}\n".encode() for number in range(48)]
        assert {each.stderr for each in done} == {b""}

    def test_a_node_that_does_not_answer_may_come(self, transport: SyncTransport, absent: Node, tmp_path: Path) -> None:
        (tmp_path / "f").touch()
        with pytest.raises(Transient, match=absent.name):
            transport.run(absent, ["true"])
        with pytest.raises(Transient, match=absent.name):
            transport.push(absent, tmp_path / "f", PurePosixPath("f"))
        with pytest.raises(Transient, match=absent.name):
            transport.pull(absent, PurePosixPath("f"), tmp_path / "g")

    def test_closing_leaves_nothing_behind(self, transport: SyncTransport, node: Node) -> None:
        transport.close()
        before = children()
        transport.run(node, ["true"])
        transport.close()
        transport.close()
        self.await_hang_up()
        assert children() <= before

    def test_a_closed_transport_connects_again(self, transport: SyncTransport, node: Node) -> None:
        transport.close()
        assert transport.run(node, ["echo", "on"]).stdout == b"on\n"

    # A terminal, ports, rsync

    def test_a_command_on_these_streams(self, transport: SyncTransport, node: Node) -> None:
        if not isinstance(transport, HasShell):
            pytest.skip("it has no shell")
        with Streams(b"some input") as streams:
            code = transport.shell(node, ["sh", "-c", "cat; echo err >&2; printf '%s' \"$1\"; exit 7", "sh", "a 'b'  c"])
        assert (code, streams.out, streams.err) == (7, b"some inputa 'b'  c", b"err\n")

    @pytest.mark.parametrize("code", [0, 127, 255])
    def test_exit_codes_of_a_shell(self, transport: SyncTransport, node: Node, code: int) -> None:
        if not isinstance(transport, HasShell):
            pytest.skip("it has no shell")
        with Streams(b""):
            assert transport.shell(node, ["sh", "-c", f"exit {code}"]) == code

    def test_a_login_shell(self, transport: SyncTransport, node: Node) -> None:
        if not isinstance(transport, HasShell):
            pytest.skip("it has no shell")
        with Streams(b"echo $((6 * 7)); pwd -P; exit 5\n") as streams:
            code = transport.shell(node)
        home = transport.run(node, ["pwd", "-P"]).stdout
        assert code == 5 and b"42\n" + home in streams.out

    def test_a_terminal_is_handed_on(self, transport: SyncTransport, node: Node) -> None:
        if not isinstance(transport, HasShell):
            pytest.skip("it has no shell")
        with terminal({b"33 77": b"typed\n"}, rows=33, columns=77) as here:
            code = transport.shell(node, ["sh", "-c", "test -t 0 && test -t 1 && stty size; read line; echo got:$line; exit 9"])
        assert code == 9
        assert b"33 77" in here.shown and b"got:typed" in here.shown

    def test_ctrl_c_on_a_terminal_is_for_the_command(self, transport: SyncTransport, node: Node) -> None:
        if not isinstance(transport, HasShell):
            pytest.skip("it has no shell")
        with terminal({b"begun": b"\x03"}) as here:
            code = transport.shell(node, ["sh", "-c", "trap 'echo caught; exit 3' INT; echo begun; while :; do sleep 1; done"])
        assert code == 3 and b"caught" in here.shown
        with terminal({b"begun": b"\x03"}) as here:
            assert transport.shell(node, ["sh", "-c", "echo begun; exec sleep 1000"]) == 130

    def test_a_port_of_the_node_appears_here(self, transport: SyncTransport, node: Node, place: PurePosixPath) -> None:
        if not isinstance(transport, CanForward):
            pytest.skip("it forwards no ports")
        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(transport.run, node, ["python3", "-c", ECHO, str(place)])
            port = int(self._await_file(transport, node, place))
            with transport.forward(node, port) as local:
                for word in (b"one", b"two" * 100_000):
                    assert echoed(local, word) == word[::-1]
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", local), 5)
            with transport.forward(node, port, "127.0.0.1") as local:
                assert echoed(local, b"stop") == b"pots"
            serving.result(self.seconds)

    def test_a_port_where_nobody_listens_is_closed(self, transport: SyncTransport, node: Node) -> None:
        if not isinstance(transport, CanForward):
            pytest.skip("it forwards no ports")
        with transport.forward(node, 1) as local, suppress(OSError):
            assert echoed(local, b"x") == b""

    def test_rsync_with_any_arguments(self, transport: SyncTransport, node: Node, place: PurePosixPath, tmp_path: Path) -> None:
        if not isinstance(transport, CanRsync):
            pytest.skip("it cannot be used by rsync")
        (tmp_path / "d").mkdir()
        for name in ("kept", "left.tmp"):
            (tmp_path / "d" / name).write_text(name)
        with Streams(b"") as streams:
            assert transport.rsync(node, ["-rv", "--exclude=*.tmp", f"{tmp_path}/d", f":{place}/"]) == 0
            assert transport.rsync(node, ["-r", f":{place}/d/", str(tmp_path / "back")]) == 0
            assert transport.rsync(node, ["-r", f":{place}/nowhere", str(tmp_path)]) == 23
        assert b"kept" in streams.out and b"nowhere" in streams.err
        assert os.listdir(tmp_path / "back") == ["kept"]

    def _await_file(self, transport: SyncTransport, node: Node, place: PurePosixPath) -> str:
        done = transport.run(node, ["sh", "-c", f"while ! test -s {place}; do sleep 0.05; done; cat {place}"], timeout=self.seconds)
        return done.stdout.decode()


ECHO = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".new", "w") as stream:
    stream.write(str(server.getsockname()[1]))
os.replace(sys.argv[1] + ".new", sys.argv[1])
data = b""
while data != b"stop":
    peer, data = server.accept()[0], b""
    while part := peer.recv(65536):
        data += part
    peer.sendall(data[::-1])
    peer.close()
"""
"""Sends back what it gets, reversed; its port is in the file."""


def echoed(port: int, word: bytes) -> bytes:
    """What a server on this machine answers."""
    with socket.create_connection(("127.0.0.1", port), 30) as peer:
        peer.settimeout(30)
        peer.sendall(word)
        with suppress(OSError):  # it may have hung up already, which reading tells
            peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(65536), b""))


def children() -> set[int]:
    """Processes that this one started and that still are."""
    return set(procfs.children(os.getpid()))
