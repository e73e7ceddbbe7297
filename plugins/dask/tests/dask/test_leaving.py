"""A leader's presence on a node ends whole, and a stopped daemon ends, whatever Dask cancels in between."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast

import pytest
from distributed import Worker
from toil_core.batch_system import Requirement
from toil_core.testing.runners import await_death
from toil_core.worker_host import WorkerHost

from toil_dask import node as node_module
from toil_dask.messages import Hello, Join, decode_news
from toil_dask.node import Node
from toil_dask.testing import SECONDS

LEADER, PRESENCE = "leader", "toil-leader-presence.1"


class Counted(WorkerHost):
    """A host that tells how many there are."""

    open = 0

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        Counted.open += 1

    def close(self) -> None:
        super().close()
        Counted.open -= 1


class State:
    """What a node asks of a Dask worker's state."""

    total_resources: ClassVar[dict[str, float]] = {}
    nthreads = 1


class FakeWorker:
    """A Dask worker that only says whether the node has greeted the leader."""

    name, address, state, memory_manager = "one", "tls://127.0.0.1:1", State(), None

    def __init__(self) -> None:
        self.greeted = asyncio.Event()

    def log_event(self, topic: str, message: bytes) -> None:
        if isinstance(decode_news(message), Hello):
            self.greeted.set()


def drop_then_cancel(task: asyncio.Task[None], node: Node) -> None:
    """The leader is gone, and while its host is closed the worker begins to end."""
    node.transition(PRESENCE, "executing", "released")
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(task.cancel))


def cancel_twice(task: asyncio.Task[None], node: Node) -> None:
    task.cancel()
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(task.cancel))


def cancel(task: asyncio.Task[None], node: Node) -> None:
    task.cancel()


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("how", [drop_then_cancel, cancel_twice, cancel])
def test_a_leader_leaves_whole_when_its_presence_is_cancelled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[asyncio.Task[None], Node], None], early: bool
) -> None:
    monkeypatch.setattr(Counted, "open", 0)
    monkeypatch.setattr(node_module, "WorkerHost", Counted)

    async def leaving() -> None:
        node, worker = Node(Requirement(1, 1 << 30, 1 << 30)), FakeWorker()
        node.setup(cast(Worker, worker))
        task = asyncio.ensure_future(node.attend(Join(PRESENCE, LEADER, str(tmp_path), {})))
        if early:
            await asyncio.sleep(0)  # its host is being made
        else:
            await worker.greeted.wait()
        how(task, node)
        await asyncio.wait([task])
        await node.teardown(cast(Worker, worker))

    asyncio.run(asyncio.wait_for(leaving(), SECONDS))
    assert Counted.open == 0


STUCK = """
import asyncio, os, sys
from pathlib import Path
from toil_dask import daemon

daemon.STOPPING = 0.1

async def stuck(signals):
    print("runs", flush=True)
    await asyncio.Event().wait()

sys.exit(daemon.run(stuck, Path(sys.argv[1]), with_stdin=True))
"""


def test_a_daemon_that_cannot_end_is_ended(tmp_path: Path) -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None and daemon.stdout.readline() == "runs\n"
    _, said = daemon.communicate(timeout=SECONDS)
    assert daemon.returncode == 1 and "was told to stop" in said


MAKES_A_CLUSTER = """
import sys
from pathlib import Path
from toil_dask.testing import Cluster

cluster = Cluster(Path(sys.argv[1]))
cluster.add("worker")
cluster.await_worker("worker")
print(*(process.pid for process in cluster.processes.values()), flush=True)
sys.stdin.read()
"""


def test_the_daemons_of_a_cluster_for_tests_end_with_a_killed_test(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKES_A_CLUSTER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout is not None
        daemons = [int(word) for word in test.stdout.readline().split()]
        test.kill()
    assert len(daemons) == 2
    for pid in daemons:
        await_death(pid, SECONDS)
