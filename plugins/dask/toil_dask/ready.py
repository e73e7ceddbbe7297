"""`python -m toil_dask.ready`: wait until the scheduler answers, and until a worker has joined it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toil_dask import daemon, security


def main(arguments: Sequence[str]) -> int:
    """Wait; 0 once all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m toil_dask.ready", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cluster's folder on this node")
    parser.add_argument("--scheduler", required=True, help="the scheduler's address")
    parser.add_argument("--worker", default="", help="the name of a worker; empty to wait for the scheduler alone")
    given = parser.parse_args(arguments)
    return daemon.run(lambda signals: _wait(given), given.folder)


async def _wait(given: argparse.Namespace) -> int:
    from distributed import Client
    from distributed.security import Security

    print(f"waiting for the Dask scheduler at {given.scheduler}", file=sys.stderr, flush=True)
    shown = Security(**security.settings(security.paths(given.folder)))
    async with Client(given.scheduler, asynchronous=True, security=shown, timeout="1 day", set_as_default=False) as client:
        if not given.worker:
            return 0
        joined = asyncio.Event()

        def heard(event: tuple[float, Any]) -> None:
            if isinstance(event[1], dict) and event[1].get("action") == "add-worker":
                joined.set()

        client.subscribe_topic("all", heard)
        print(f"waiting for node {given.worker} to join it", file=sys.stderr, flush=True)
        while True:
            joined.clear()
            workers = (await client.scheduler.identity(n_workers=-1))["workers"].values()
            if any(worker["name"] == given.worker for worker in workers):
                return 0
            await joined.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
