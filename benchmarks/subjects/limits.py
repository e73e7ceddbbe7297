"""The limits: what the machine itself takes for a process, or for a file, with no engine at all."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform

PYTHON = os.path.realpath("/proc/self/exe")
COMMANDS = {"true": ["/bin/true"], "python": [PYTHON, "-S", "-c", "pass"]}


def forks(count: int) -> None:
    """Fork and wait, one child at a time."""
    for _ in range(count):
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)


def spawns(command: list[str], count: int) -> None:
    """Fork, execute a program and wait, one child at a time."""
    for _ in range(count):
        pid = os.posix_spawn(command[0], command, os.environ)
        os.waitpid(pid, 0)


def fan(order: Order) -> None:
    """As many processes as jobs, by as many parents as cores."""
    share = order.size // order.cores
    with order.timed():
        parents = [_apart(order.variant, share + (i < order.size % order.cores)) for i in range(order.cores)]
        for pid in parents:
            order.check(os.waitpid(pid, 0)[1], 0)


def _apart(variant: str, count: int) -> int:
    pid = os.fork()
    if not pid:
        forks(count) if variant == "fork" else spawns(COMMANDS[variant], count)
        os._exit(0)
    return pid


def file(order: Order) -> None:
    """Write the file, copy it once, read it ten times; no engine, no process."""
    source, target = order.scratch / "big", order.scratch / "copy"
    with order.timed():
        bodies.make(source, order.bytes)
        shutil.copyfile(source, target)
        with ThreadPoolExecutor(order.cores) as pool:
            order.check(list(pool.map(bodies.read_through, [target] * READERS)), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "file": file})
