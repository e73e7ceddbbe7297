from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from toil_core.cluster.runs import Program, runs_of, submit
from toil_core.drivers.local_transport import LocalTransport
from toil_core.errors import NodeFull
from toil_core.options import Config
from toil_core.provisioner import Node
from toil_core.sync_transport import TransportOptions

LEADER = Node("leader", "t", "leader")


class Full(LocalTransport):
    """A way into a node whose disk is full before all has arrived."""

    def push(self, node: Node, source: Path, target: PurePosixPath, *, delete: bool = False) -> None:
        super().push(node, source, target, delete=delete)
        raise NodeFull(f"node {node.name}: no space left for {target}")


def test_a_run_that_cannot_be_copied_leaves_nothing_on_the_leader(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "leader").mkdir(parents=True)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "go.py").write_text("print('gone')\n")
    program = Program.of_script(tmp_path / "code" / "go.py")
    with Full(Config([TransportOptions(local_nodes=str(tmp_path / "nodes"))])) as transport:
        with pytest.raises(NodeFull, match=r"no space left for \.toil/runs/go-1; make room there, or .* --leader-storage"):
            submit(transport, LEADER, program, [], "go-1")
        assert runs_of(transport, LEADER) == []
    assert list((tmp_path / "nodes" / "leader" / ".toil" / "runs").iterdir()) == []
