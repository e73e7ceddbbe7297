"""`python -m toil_dask.worker`: the part of a cluster's node on which jobs run, in the foreground until SIGTERM.

SIGUSR1 tells that the machine will soon be taken away, and so does the file that TOIL_PREEMPTION_NOTICE names when it appears: then
nothing more starts here, and what is lost counts as preempted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from toil_core.batch_system import Accelerator, Requirement
from toil_core.worker_host import machine_offer

from toil_dask import daemon, ready, security
from toil_dask.node import Node

THREADS = 4096
"""How many tasks the worker may have at a time; they only wait, and what may run is decided by resources."""
UNIT = 1 / 1024
"""Dask adds resources up as floats; amounts of this unit stay exact."""


def main(arguments: Sequence[str]) -> int:
    """Run a worker until it is told to stop, or its scheduler is gone for good; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m toil_dask.worker", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cluster's folder on this node")
    parser.add_argument("--scheduler", required=True, help="the scheduler's address")
    parser.add_argument("--name", required=True, help="the node's name")
    parser.add_argument("--host", required=True, help="this node's address")
    parser.add_argument("--cores", type=float, default=0.0, help="0: all that there are")
    parser.add_argument("--memory", type=int, default=0, help="bytes; 0: all that there is")
    parser.add_argument("--disk", type=int, default=0, help="bytes; 0: all that is free")
    parser.add_argument("--accelerators", default="", help="JSON; empty: those that are found")
    parser.add_argument("--preemptible", action="store_true", help="the machine may be taken away")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds without a scheduler after which this ends")
    parser.add_argument("--with-stdin", action="store_true", help="stop at the end of standard input")
    given = parser.parse_args(arguments)
    return daemon.run(lambda signals: _serve(signals, given), given.folder, with_stdin=given.with_stdin)


async def _serve(signals: daemon.Signals, given: argparse.Namespace) -> int:
    """Be a worker again and again: when the scheduler is gone so is everything that ran here, and another one may come."""
    last = time.monotonic()
    pause = 0.1
    while not signals.stop.is_set():
        worked = await _work(signals, given)
        if worked:
            last, pause = time.monotonic(), 0.1
        elif time.monotonic() - last > given.patience:
            print(f"toil_dask.worker: no scheduler at {given.scheduler} for {given.patience:g} s; this worker ends", file=sys.stderr)
            return 1
        try:
            await asyncio.wait_for(signals.stop.wait(), pause)
        except TimeoutError:
            pause = min(2 * pause, 5.0)
    return 0


async def _work(signals: daemon.Signals, given: argparse.Namespace) -> bool:
    """Work until the scheduler is gone or a stop is asked for; whether there was a scheduler."""
    from distributed import Worker
    from distributed.security import Security

    class Plain(daemon.NoPages, Worker):
        """A worker without web pages."""

    offer = _offer(given)
    node = Node(offer)
    signals.notice = node.notice
    if signals.noticed:  # this is not the first scheduler
        node.notice()
    worker = Plain(
        given.scheduler,
        name=given.name,
        host=given.host,
        nthreads=THREADS,
        memory_limit=0,
        resources=resources(offer),
        security=Security(**security.settings(security.paths(given.folder))),
        plugins=(node,),
        dashboard=False,
        death_timeout=15,
    )
    starting = asyncio.ensure_future(worker.start())
    stopping = asyncio.ensure_future(signals.stop.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done() or starting.exception() is not None:
            if starting.done():
                print(f"toil_dask.worker: cannot join {given.scheduler}: {starting.exception()}", file=sys.stderr)
            return False
        finished = asyncio.ensure_future(worker.finished())
        with ready.announced(given.folder, given.name):
            await asyncio.wait([finished, stopping], return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        return True
    finally:
        stopping.cancel()
        starting.cancel()
        await worker.close(timeout=5, reason="toil-worker-stops")


def resources(offer: Requirement) -> dict[str, float]:
    """What Dask is to count on the node."""
    devices = sum(one.count for one in offer.accelerators)
    return {"cores": offer.cores, "memory": offer.memory, "disk": offer.disk, "gpu": devices, "preemptible": float(offer.preemptible)}


def needs(needed: Requirement, guarded: Sequence[str]) -> dict[str, float]:
    """What a request takes of what Dask counts on a node.

    Args:
        needed: What was set aside.
        guarded: The resources that Dask counts there.
    """
    cores = max(UNIT, needed.cores // UNIT * UNIT)
    every = {"cores": cores, "memory": needed.memory, "disk": needed.disk, "gpu": sum(one.count for one in needed.accelerators)}
    return {name: amount for name, amount in every.items() if name in guarded and amount}


def _offer(given: argparse.Namespace) -> Requirement:
    found = machine_offer(given.folder)
    accelerators = msgspec.convert(json.loads(given.accelerators), tuple[Accelerator, ...]) if given.accelerators else found.accelerators
    return Requirement(
        given.cores or found.cores, given.memory or found.memory, given.disk or found.disk, given.preemptible, accelerators
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
