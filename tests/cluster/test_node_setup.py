"""What is done on a node whose disk is full."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from toil_core.cluster import node_setup
from toil_core.cluster.bundle import Image
from toil_core.cluster.node_facts import Facts
from toil_core.drivers.local_transport import LocalTransport
from toil_core.errors import NodeFull, UsageError
from toil_core.options import Config
from toil_core.provisioner import Node
from toil_core.sync_transport import TransportOptions
from toil_core.testing.needs import small_disk

NODE, IMAGE = Node("n1", "small", "worker"), Image("0123", (), ())
MIB = 1 << 20


@pytest.fixture
def transport(tmp_path: Path) -> LocalTransport:
    (tmp_path / "nodes").mkdir()
    return LocalTransport(Config([TransportOptions(local_nodes=str(tmp_path / "nodes"))]))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(os.urandom(2 * MIB))
    return path


def facts(home: Path, free: int) -> Facts:
    return Facts(PurePosixPath(home), sys.executable, (), "", frozenset(), None, apt=False, free=free)


def test_a_disk_with_too_little_room_is_told_before_anything_is_sent(transport: LocalTransport, archive: Path, tmp_path: Path) -> None:
    home = tmp_path / "nodes" / "n1"
    home.mkdir()
    assert not node_setup.find_image(transport, NODE, facts(home, 5 * MIB), IMAGE, 60)
    with pytest.raises(UsageError, match="its disk is full: 5 MiB are free, and 12 MiB are needed; ask for more storage"):
        node_setup.install(transport, NODE, facts(home, 5 * MIB), IMAGE, archive, 60)
    assert list((home / ".toil" / "images").iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_told(transport: LocalTransport, archive: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "nodes" / "n1") as home:
        assert not node_setup.find_image(transport, NODE, facts(home, 50 * MIB), IMAGE, 60)
        with pytest.raises(NodeFull, match="node n1: no space left for "):
            node_setup.install(transport, NODE, facts(home, 50 * MIB), IMAGE, archive, 60)


def test_an_image_that_is_there_is_found(transport: LocalTransport, tmp_path: Path) -> None:
    home, shared = tmp_path / "nodes" / "n1", tmp_path / "shared"
    home.mkdir()
    (shared / IMAGE.name).mkdir(parents=True)
    (shared / IMAGE.name / ".whole").touch()
    assert not node_setup.find_image(transport, NODE, facts(home, 0), IMAGE, 60)
    assert node_setup.find_image(transport, NODE, facts(home, 0), IMAGE, 60, PurePosixPath(shared))
    assert (home / ".toil" / "images" / IMAGE.name).resolve() == shared / IMAGE.name
