"""Job stores as runs leave them, made without running anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from toil_core.batch_system import Reason, Requirement, Usage
from toil_core.drivers.file import FileJobStore
from toil_core.job_store import JobStore
from toil_core.leader import begin
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.epoch import this_leader
from toil_core.monitor.status import load
from toil_core.options import Config
from toil_core.wire import commits, keys, run, work
from toil_core.wire.jobs import Failure, Kind, NewJob, Result
from toil_core.wire.work import Setup

LEAVES = 4


def opened(folder: Path) -> JobStore:
    """The store of that folder."""
    return FileJobStore(str(folder), Config())


def begun(folder: Path) -> JobStore:
    """A workflow of one job `top` that has not run."""
    store = opened(folder)
    store.prepare()
    result = Result("0", kinds=(Kind("top", Requirement()),), jobs=(NewJob("0.0", 0, (0, 0), 0),), children=("0.0",))
    begin(store, str(folder), commits.encode("0", 0, [(msgspec.msgpack.encode(result), b"", Usage())]), Config(), "words")
    return store


def led(store: JobStore, epoch: int = 1, **changes: Any) -> None:
    """A leader took it up: this process, unless changes to the record say otherwise."""
    store.create(keys.leader(epoch), run.encode(msgspec.structs.replace(this_leader(epoch), **changes)))
    store.write(keys.setup(epoch), BytesIO(work.encode(Setup(script="/home/me/words.py", options=Config().as_dict()))))


def committed(store: JobStore, executions: Mapping[str, str] | None = None) -> None:
    """The first job ran and added leaves; leaf 0 ran, leaf 1 failed once, leaf 2 for good, leaf 3 waits.

    Args:
        store: The job store.
        executions: By request what its log goes by, if by more than the request.
    """
    new = tuple(NewJob(f"1-1.0.{number}", 0, (0, 0), 0) for number in range(LEAVES))
    top = Result("0.0", kinds=(Kind("leaf", Requirement()),), jobs=new, children=tuple(job.id for job in new))
    _commit(store, "1-1", top, Usage(wall=2.0, cpu=1.0, memory=5 << 20))
    _commit(store, "1-2", Result("1-1.0.0"), Usage(wall=1.0, cpu=0.5, memory=9 << 20))
    for request, job, retry in (("1-3", "1-1.0.1", True), ("1-4", "1-1.0.2", False)):
        log = keys.log(job, (executions or {}).get(request, request))
        store.write(log, BytesIO(f"log of {job}\n".encode()))
        _commit(store, request, Result(job, failure=Failure(Reason.OVER_TIME, "ran for 9 s", log=log, tail="the end", retry=retry)), Usage())


def folded(store: JobStore, epoch: int = 1, *, ended: bool) -> None:
    """The leader wrote a checkpoint of what is committed, and removed nothing."""
    graph = load(store, {})[0]
    graph.issuer.epoch, graph.issuer.sequence = epoch, 4
    Checkpoints(store, epoch).write(graph, ended=ended)


def dead_process() -> int:
    """The number of a process that is gone."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def _commit(store: JobStore, request: str, result: Result, usage: Usage) -> None:
    store.create(keys.commit(request, 0), commits.encode(request, 0, [(msgspec.msgpack.encode(result), b"", usage)]))
