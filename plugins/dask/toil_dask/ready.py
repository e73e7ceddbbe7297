"""`python -m toil_dask.ready`: wait until the program of this node works as a part of the cluster.

The program says so by a file that it holds a lock on, so that this one need not import Dask, and the file of one that was killed says nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from toil_dask import daemon


@contextmanager
def announced(folder: Path, worker: str = "") -> Iterator[None]:
    """Say, as long as this lasts, that this process works as a part of the cluster.

    Args:
        folder: The cluster's folder on this node.
        worker: The worker's name; empty for the scheduler.
    """
    path = _path(folder, worker)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}")
    new.unlink(missing_ok=True)  # of one that was killed meanwhile
    with new.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        new.rename(path)
        yield


def main(arguments: Sequence[str]) -> int:
    """Wait; 0 once all is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m toil_dask.ready", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the cluster's folder on this node")
    parser.add_argument("--scheduler", required=True, help="the scheduler's address, for who reads this")
    parser.add_argument("--worker", default="", help="the name of this node's worker; empty for its scheduler")
    given = parser.parse_args(arguments)
    what = f"the worker {given.worker} to join the Dask scheduler" if given.worker else "the Dask scheduler to listen"
    print(f"waiting for {what} at {given.scheduler}", file=sys.stderr, flush=True)
    asyncio.run(_wait(_path(given.folder, given.worker)))
    return 0


async def _wait(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    there = asyncio.Event()
    daemon.watch_for(path, there.set, _is_held)
    await there.wait()


def _is_held(path: Path) -> bool:
    """Whether a program that lives holds the file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _path(folder: Path, worker: str) -> Path:
    return folder / "dask" / (f"worker-{worker}" if worker else "scheduler")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
