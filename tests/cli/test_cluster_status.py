from __future__ import annotations

from toil_core.cli.cluster_status import _text
from toil_core.cluster.listing import NodeStatus
from toil_core.cluster.told import ClusterStatus

REFUSED = "does not let ubuntu in with the agent's keys; see --ssh-user"


def node(name: str, state: str = "up", why: str = "") -> NodeStatus:
    return NodeStatus(name, "leader" if name == "leader" else "worker", "small", False, f"10.0.0.{len(name)}", 60.0, None, state, why)


def text(*nodes: NodeStatus, trouble: str = "") -> list[str]:
    return _text(ClusterStatus("c", "ready", "cloud", "dask", "1", "", None, list(nodes), [], trouble)).splitlines()


def test_what_is_wrong_with_many_nodes_is_said_once() -> None:
    said = [node(name, why=f"node {name} (10.0.0.{len(name)}) {REFUSED}") for name in ("leader", "worker-1", "worker-12")]
    lines = text(*said, node("worker-2"), trouble=f"the leader cannot be asked which runs there are: node leader (10.0.0.6) {REFUSED}")
    assert sum(REFUSED in line for line in lines) == 1
    assert f"leader, worker-1, worker-12: {REFUSED}" in lines
    assert [line.split("  ")[-1].strip() for line in lines[3:7]] == ["up, see below", "up, see below", "up, see below", "up"]
    assert lines[-1] == "the leader cannot be asked which runs there are: see above"


def test_what_is_wrong_with_one_node_stands_beside_it() -> None:
    said = [node("leader", "unreachable", "node leader (10.0.0.6): no route"), node("worker-1", why=f"node worker-1 (10.0.0.8) {REFUSED}")]
    lines = text(*said, trouble="the leader cannot be asked: the cloud does not answer")
    assert lines[3].endswith("unreachable: node leader (10.0.0.6): no route") and lines[4].endswith(f"up: node worker-1 (10.0.0.8) {REFUSED}")
    assert lines[-1] == "the leader cannot be asked: the cloud does not answer"
