"""Running an attempt's code in a slot before the first real one.

What the interpreter learns about code (specialised instructions, looked-up attributes, interned
objects) it writes next to the code. Learnt here once, it is inherited; otherwise every attempt
would learn it anew, and pay for a copy of each page that it writes to.
"""

from __future__ import annotations

import os
import sys

from toil_core.batch_system import Requirement
from toil_core.wire.jobs import Kind
from toil_core.wire.work import Task
from toil_core.worker.child import Child
from toil_core.worker.messages import Batch, Open, Spec
from toil_core.worker.notes import Notes
from toil_core.worker.runner import Runner
from toil_core.worker.slots import SlotFolder

_TIMES = 50


def rehearse(opened: Open, runner: Runner, folder: SlotFolder, notes: Notes, told: int) -> None:
    """Run a task that does nothing, when the runner's module has one: the body `REHEARSAL`.

    Args:
        opened: What the host said first.
        runner: Runs one task.
        folder: The slot's folder.
        notes: The slot's part of the shared page.
        told: The slot's file for what attempts tell; empty again afterwards.
    """
    body = getattr(sys.modules.get(runner.__module__), "REHEARSAL", None)
    if body is None:
        return
    task = Task("0.0", 0, body)
    spec = Spec(0, 0, task)
    batch = Batch(0, 0, "0-0", True, 1.0, {}, (Kind("rehearsal", Requirement()),), (spec,))
    child = Child(opened, runner, -1, folder, notes, told)
    for _ in range(_TIMES):
        child.isolated(batch, spec, child.place(batch), os.WCOREDUMP)  # built in, like the function that ends a process
    os.ftruncate(told, 0)
    os.ftruncate(folder.log_fd, 0)


def nothing() -> None:
    """The job that is rehearsed."""
