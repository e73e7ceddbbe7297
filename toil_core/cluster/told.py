"""What the cluster commands print with `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toil_core.cluster.listing import NodeStatus
from toil_core.cluster.runs import Run
from toil_core.cluster.wanted import WantedNode
from toil_core.provisioner import Resource


@dataclass(frozen=True)
class Launched:
    """A cluster that is ready.

    Args:
        name: Its name.
        provisioner: Where its machines come from.
        engine: What runs the jobs on it.
        transport: The way into its nodes.
        nodes: Those that came up, the leader first.
        version: The version of toil-core that they have.
        created: When the launch began, in seconds since 1970.
    """

    name: str
    provisioner: str
    engine: str
    transport: str
    nodes: tuple[WantedNode, ...]
    version: str
    created: float


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster.

    Args:
        name: Its name.
        state: `ready`, `launching`, `launch interrupted`, `leader gone`, `gone`, or `elsewhere` when it was not launched from this machine.
        provisioner: Where its machines come from; None when it was not launched from this machine.
        engine: What runs the jobs on it; None when it was not launched from this machine.
        version: The version of toil-core that launched it; None when it was not launched from this machine.
        launch: The phase that a launch is at before there are nodes, or why that failed; empty once the cluster is ready.
        dollars_an_hour: What its nodes cost; None when a price is not known.
        nodes: Its nodes, the leader first.
        runs: What was submitted to it, the newest last.
        trouble: Why nodes could not be asked whether they answer, or which runs there are; empty for nothing.
    """

    name: str
    state: str
    provisioner: str | None
    engine: str | None
    version: str | None
    launch: str
    dollars_an_hour: float | None
    nodes: list[NodeStatus]
    runs: list[Run]
    trouble: str


@dataclass(frozen=True)
class Ran:
    """A command that ran on a node.

    Args:
        name: The cluster.
        node: The node.
        exit_code: That of the command; the program's own is the same.
        stdout: What it wrote to standard output; what is no UTF-8 in it is replaced.
        stderr: The same of standard error.
    """

    name: str
    node: str
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Copied:
    """A copy by rsync.

    Args:
        name: The cluster.
        node: The node.
        exit_code: That of rsync; the program's own is the same.
    """

    name: str
    node: str
    exit_code: int


@dataclass(frozen=True)
class Submitted:
    """A run that was submitted.

    Args:
        name: The cluster.
        run: The run's name, which `toil attach` takes.
        left_out: Paths of data files that were too large to be copied.
    """

    name: str
    run: str
    left_out: list[str]


@dataclass(frozen=True)
class Scaled:
    """A cluster with more workers, or fewer.

    Args:
        name: The cluster.
        added: The names of the workers that were added.
        failed: By name of those that did not come up, why; they are removed again.
        removed: The names of the workers that were taken away.
    """

    name: str
    added: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Destroyed:
    """What was, or would be, removed of a cluster.

    Args:
        name: The cluster.
        removed: Whether it was removed; not so with `--dry-run`.
        resources: All that there was because of it.
        runs: The submitted runs that were going on, which end with it.
        trouble: Why it cannot be told which runs were going on; empty for nothing.
    """

    name: str
    removed: bool
    resources: list[Resource]
    runs: list[Run]
    trouble: str


@dataclass(frozen=True)
class TakenAway:
    """A node of this machine that was taken away.

    Args:
        name: The cluster.
        node: The node.
        done: `killed`, or `preempted` after its notice.
    """

    name: str
    node: str
    done: str
