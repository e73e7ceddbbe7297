"""A job store on a file system that fills up: said clearly, and gone on with once there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.runs import Run, end_of
from toil_core.testing.needs import remount


@pytest.mark.parametrize("number", [1, 3, 8])
def test_full_job_store(number: int, small_disk: Path, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=21, size=20, store=small_disk / "store")
    run.halt(number)
    leader = run.start()
    with run.meet(number):
        _fill(small_disk)
    code, out, said = end_of(leader)
    assert (code, out) == (1, "")
    last = said.splitlines()[-1]
    assert f"the tmpfs file system of {run.store} is full" in said, said
    assert "--restart" in last
    run.await_no_process()
    settled, since = run.settled(), len(run.effects())
    code, out, said = end_of(run.start(restart=True))
    assert code in (1, 2)
    assert f"the tmpfs file system of {run.store} is full" in said, said
    remount(small_disk, "size=16m")
    run.succeed(restart=True)
    run.check(since, settled)


def _fill(folder: Path) -> None:
    """Take all room there."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)) == 65536:
                pass
            while file.write(bytes(512)):
                pass
        except OSError:
            return
