from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from toil_core.drivers.local_transport import LocalTransport
from toil_core.errors import BadOption, CannotCopy
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import CanForward, CanRsync, HasShell, SyncTransport, TransportOptions
from toil_core.testing.needs import small_disk
from toil_core.testing.runners import await_death
from toil_core.testing.sync_transport import SyncTransportContract
from toil_core.testing.terminal import terminal

SHELL = """
import sys
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.provisioner import Node
from toil_core.sync_transport import TransportOptions

with open_sync_transport("local", Config([TransportOptions(local_nodes=sys.argv[1])])) as transport:
    sys.exit(transport.shell(Node("n1", "small", "worker"), ["sh", "-c", sys.argv[2]]))
"""


class TestLocalTransport(SyncTransportContract):
    abilities = (CanForward, CanRsync, HasShell)

    @pytest.fixture
    def transport(self, tmp_path: Path) -> Iterator[SyncTransport]:
        with open_sync_transport("local", Config([TransportOptions(local_nodes=str(tmp_path / "nodes"))])) as transport:
            yield transport

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        (tmp_path / "nodes" / "n1").mkdir(parents=True)
        return Node("n1", "small", "worker")

    @pytest.fixture
    def absent(self) -> Node:
        return Node("n2", "small", "worker")

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[PurePosixPath]:
        with small_disk(tmp_path / "disk") as folder:
            yield PurePosixPath(folder)

    def test_home_is_the_nodes_folder(self, transport: SyncTransport, node: Node, tmp_path: Path) -> None:
        assert transport.run(node, ["sh", "-c", "pwd; echo $HOME"]).stdout.decode().split() == [str(tmp_path / "nodes" / "n1")] * 2

    def test_ctrl_c_on_a_terminal_is_for_the_command(self, transport: SyncTransport, node: Node) -> None:
        """A command here has Ctrl-C from its controlling terminal, so the transport is used in a session that has one."""
        nodes = Path(transport.run(node, ["pwd"]).stdout.decode().strip()).parent
        for command, code in (("trap 'echo caught; exit 3' INT; echo begun; while :; do sleep 1; done", 3), ("echo begun; exec sleep 1000", 130)):
            with terminal({b"begun": b"\x03"}) as here:
                used = subprocess.call(["setsid", "--ctty", "--wait", sys.executable, "-c", SHELL, str(nodes), command], stdin=0, stdout=1, stderr=2)
            assert used == code and (b"caught" in here.shown) == (code == 3) and b"Traceback" not in here.shown, here.shown

    def test_a_full_disk_here_is_told(self, transport: SyncTransport, node: Node, small: PurePosixPath, place: PurePosixPath) -> None:
        transport.run(node, ["sh", "-c", f"head -c 4000000 /dev/urandom >{place}"])
        with pytest.raises(CannotCopy, match="no space left on this machine"):
            transport.pull(node, place, Path(small) / "f")


def test_where_the_nodes_are_must_be_said() -> None:
    with pytest.raises(BadOption, match="--local-nodes"):
        LocalTransport(Config())


def test_children_are_ended_when_time_is_up(tmp_path: Path) -> None:
    from toil_core.errors import Transient

    (tmp_path / "n").mkdir()
    transport = LocalTransport(Config([TransportOptions(local_nodes=str(tmp_path))]))
    told = tmp_path / "n" / "pid"
    for seconds in (0.5, 2, 10, 50):  # until there was time to tell
        with pytest.raises(Transient):
            transport.run(Node("n", "t", "worker"), ["sh", "-c", "sleep 1000 & echo $! >new; mv new pid; wait"], timeout=seconds)
        if told.exists():
            break
    await_death(int(told.read_text()), 60)
