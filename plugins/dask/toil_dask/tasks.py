"""The functions that Dask runs on a worker for a leader. They lend no thread: they secede, and hold the resources that Dask counts."""

from __future__ import annotations

from distributed import Worker, get_worker
from distributed.worker_state_machine import SecedeEvent

from toil_dask import messages
from toil_dask.node import PLUGIN, Node

MANY_THREADS = 256
"""A worker with so many is one of ours: its threads are but a number, and nobody needs the places that our tasks take."""


async def attend(payload: bytes) -> None:
    """A leader's presence on this node: lasts until the leader is gone, or done.

    Raises:
        BadOption: The folder for temporary files cannot be used.
    """
    join = messages.decode_join(payload)
    worker = get_worker()
    _secede(worker, join.key)
    if PLUGIN not in worker.plugins:
        await worker.plugin_add(plugin=Node(), name=PLUGIN)
    node = worker.plugins[PLUGIN]
    assert isinstance(node, Node)
    if not node.dropped(join.key):
        await node.attend(join)


async def perform(payload: bytes) -> None:
    """A request, to its end."""
    order = messages.decode_order(payload)
    worker = get_worker()
    _secede(worker, order.key)
    node = worker.plugins.get(PLUGIN)
    if isinstance(node, Node) and node.id == order.node:  # else Dask runs again what was on a node that is lost; the leader knows
        await node.perform(order)


async def leave(leader: str, dask_worker: Worker) -> None:
    """End all that runs here for the leader, and return when nothing is left."""
    node = dask_worker.plugins.get(PLUGIN)
    if isinstance(node, Node):
        await node.leave(leader)


async def interrupt(payload: bytes, dask_worker: Worker) -> tuple[str, ...]:
    """Ask requests to end in good order; those that do not run here."""
    wish = messages.decode_wish(payload)
    node = dask_worker.plugins.get(PLUGIN)
    return node.interrupt(wish) if isinstance(node, Node) else wish.requests


def _secede(worker: Worker, key: str) -> None:
    if worker.state.nthreads < MANY_THREADS:
        worker.handle_stimulus(SecedeEvent(key=key, compute_duration=0.0, stimulus_id=f"toil-{key}"))
