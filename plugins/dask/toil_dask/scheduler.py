"""`python -m toil_dask.scheduler`: Dask's scheduler for a cluster, in the foreground until SIGTERM. It prints its address once it listens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from toil_dask import daemon, ready, security

PORT = 8786


def main(arguments: Sequence[str]) -> int:
    """Run a scheduler until it is told to stop; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m toil_dask.scheduler", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cluster's folder on this node")
    parser.add_argument("--host", required=True, help="the address to listen at")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--with-stdin", action="store_true", help="stop at the end of standard input")
    given = parser.parse_args(arguments)
    return daemon.run(lambda signals: _serve(signals, given), given.folder, with_stdin=given.with_stdin)


async def _serve(signals: daemon.Signals, given: argparse.Namespace) -> int:
    from distributed import Scheduler
    from distributed.security import Security

    class Plain(daemon.NoPages, Scheduler):
        """A scheduler without web pages."""

    shown = Security(**security.settings(security.paths(given.folder)))
    scheduler = Plain(host=given.host, port=given.port, protocol="tls", security=shown, dashboard=False)
    async with scheduler:
        with ready.announced(given.folder):
            print(scheduler.address, flush=True)
            waiting = [asyncio.ensure_future(signals.stop.wait()), asyncio.ensure_future(scheduler.finished())]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
