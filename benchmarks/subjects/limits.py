"""The limits: what the machine itself takes for a process, or for a file, with no engine at all."""

from __future__ import annotations

import os

from benchmarks import bodies
from benchmarks.subject import READERS, Order, perform

PYTHON = os.path.realpath("/proc/self/exe")
BARE = [PYTHON, "-I", "-S", os.path.join(os.path.dirname(__file__), "bare.py")]
PROGRAMS = {"fork": [], "true": ["/bin/true"], "python": [PYTHON, "-S", "-c", "pass"]}


def fan(order: Order) -> None:
    """As many processes as jobs, by as many parents as cores."""
    share, left = divmod(order.size, order.cores)
    with order.timed():
        parents = [os.posix_spawn(PYTHON, [*BARE, str(share + (i < left)), *PROGRAMS[order.variant]], os.environ) for i in range(order.cores)]
        for pid in parents:
            order.check(os.waitpid(pid, 0)[1], 0)


def file(order: Order) -> None:
    """Write the file, copy it once, read it ten times; no engine, no process."""
    import shutil
    from concurrent.futures import ThreadPoolExecutor

    source, target = order.scratch / "big", order.scratch / "copy"
    with order.timed():
        bodies.make(source, order.bytes)
        shutil.copyfile(source, target)
        with ThreadPoolExecutor(order.cores) as pool:
            order.check(list(pool.map(bodies.read_through, [target] * READERS)), [order.bytes] * READERS)


if __name__ == "__main__":
    perform({"fan": fan, "file": file})
