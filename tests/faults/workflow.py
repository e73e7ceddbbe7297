"""A random workflow that does as it is told: it notes every body that runs, and kills whom it is asked to kill.

`python workflow.py LOCATOR --seed 7 --folder FOLDER` prints the checksum that `expected` computes
without the engine. In FOLDER, the file `effects` gets one line for each body that runs. A file
`orders/NUMBER` tells the body whose line is the NUMBER-th what to do to its run, a file `orders/NAME`
the next body of that name; a body waits for orders that come through a FIFO.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from toil_core import File, job, main

LINE = 80
"""Bytes of each line of effects, so that a line's place tells its number."""


class Step(NamedTuple):
    """A part of the workflow: a job, and what it adds when it runs.

    Args:
        name: Unique.
        shape: What it adds: see `grow`.
        isolated: Whether it has a process of its own.
        below: Parts that it adds.
    """

    name: str
    shape: str
    isolated: bool
    below: tuple[Step, ...]


def plan(seed: int, size: int) -> Step:
    """The workflow of the seed, of about so many jobs."""
    return _plan(random.Random(seed), "r", size)


def _plan(dice: random.Random, name: str, size: int) -> Step:
    isolated = dice.random() < 0.7
    if size < 3:
        return Step(name, "leaf", isolated, ())
    most = max(2, min(100, size // 5))
    parts = dice.randint(2, most)
    below = tuple(_plan(dice, f"{name}.{part}", (size - 2) // parts) for part in range(parts))
    shapes = ["fan", "file", "kept", "chain"]
    if all(part.shape == "leaf" for part in below):  # others' values wait for their own follow-ons, and so for the diamond's end
        shapes += ["diamond", "diamond"]
    return Step(name, dice.choice(shapes), isolated, below)


def names(step: Step) -> Iterator[str]:
    """The name of every body that runs once."""
    yield step.name
    if step.shape != "leaf":
        yield f"{step.name}+"
    if step.shape in ("file", "kept"):
        yield f"{step.name}/read"
    for part in step.below:
        yield from names(part)


def before(step: Step, earlier: frozenset[str] = frozenset()) -> dict[str, frozenset[str]]:
    """For the name of every body, the names of all that must have come to an end before it starts."""
    found = {step.name: earlier}
    if step.shape == "leaf":
        return found
    inside = earlier | {step.name}
    if step.shape in ("file", "kept"):
        found[f"{step.name}/read"] = inside
    for part in step.below:
        found |= before(part, inside)
        if step.shape == "chain":
            inside |= _before_follow_ons(part)
    return found | {f"{step.name}+": earlier | found.keys()}


def _before_follow_ons(step: Step) -> set[str]:
    """The names of what ends before follow-ons of the part start; those that it adds itself start beside the others."""
    if step.shape == "chain":
        return {step.name}
    return set(names(step)) - (set() if step.shape == "diamond" else {f"{step.name}+"})


def kept_files(step: Step) -> Iterator[str]:
    """The name of every file that is there in the end."""
    if step.shape == "kept":
        yield step.name
    for part in step.below:
        yield from kept_files(part)


def expected(step: Step) -> int:
    """What the workflow's value must be."""
    values = [expected(part) for part in step.below]
    if step.shape in ("file", "kept"):
        values.append(_own(f"{step.name}/read") + _own(step.name))
    return _own(step.name) if step.shape == "leaf" else _total(f"{step.name}+", values)


def _own(name: str) -> int:
    return crc32(name.encode())


def _total(name: str, values: list[int]) -> int:
    return _own(name) + sum(place * value for place, value in enumerate(values, 1))


# What runs


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def grow(job: Any, folder: Path, step: Step) -> Any:
    """Add what the step says, and promise the sum of it."""
    orders = _note(job, folder, step.name)
    value = _grow(job, folder, step, orders)
    _obey(orders, "end")
    return value


def _grow(job: Any, folder: Path, step: Step, orders: list[str]) -> Any:
    if step.shape == "leaf":
        return _own(step.name)
    nodes = [_node(grow, part.isolated)(folder, part) for part in step.below]
    values: list[Any] = list(nodes)
    file = None
    if step.shape in ("file", "kept"):
        with job.files.create(step.name) as out:
            out.write(b"%d" % _own(step.name))
            _obey(orders, "writing")
        file = out.file
        values.append(job.add_child(read(folder, f"{step.name}/read", file)))
    last = _node(total, step.isolated)(folder, f"{step.name}+", values, file if step.shape == "file" else None)
    if step.shape == "diamond":
        for node in nodes:
            job.add_child(node).add_child(last)
        return last
    if step.shape == "chain":
        above = job
        for node in nodes:
            above = above.add_follow_on(node)
        return above.add_follow_on(last)
    for node in nodes:
        job.add_child(node)
    return job.add_follow_on(last)


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def read(job: Any, folder: Path, name: str, file: File) -> int:
    """The number in a file."""
    orders = _note(job, folder, name)
    value = _own(name) + int(job.files.read(file).read_text())
    _obey(orders, "end")
    return value


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def total(job: Any, folder: Path, name: str, values: list[int], file: File | None) -> int:
    """The sum of what others came to; a file that nobody needs any more is deleted."""
    orders = _note(job, folder, name)
    if file is not None:
        job.files.delete(file)
    (job.tmp / "scratch").write_text(name)
    _obey(orders, "end")
    return _total(name, values)


def _node(function: Any, isolated: bool) -> Any:
    return function if isolated else function.requiring(isolated=False)


def _note(job: Any, folder: Path, name: str) -> list[str]:
    """Leave a line in one write, and carry out what is ordered for it."""
    effects = os.open(folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(effects, f"{name} {job.id}".ljust(LINE - 1).encode() + b"\n")
    number = os.lseek(effects, 0, os.SEEK_CUR) // LINE
    os.close(effects)
    for order in (folder / "orders" / str(number), folder / "orders" / name.replace("/", ",")):
        if order.exists():
            orders = order.read_text().split()
            order.unlink()
            _obey(orders, "begin")
            return orders
    return []


def _obey(orders: list[str], when: str) -> None:
    """Send a signal to whom the orders name: `begin|writing|end SIGNAL self|slot|server|leader|group [wait]`."""
    if not orders or orders[0] != when:
        return
    if orders[2] == "group":
        os.killpg(_above(3), getattr(signal, orders[1]))
    else:
        os.kill(_above(("self", "slot", "server", "leader").index(orders[2])), getattr(signal, orders[1]))
    if "wait" in orders:
        signal.pause()


def _above(steps: int) -> int:
    pid = os.getpid()
    for _ in range(steps):
        pid = _parent(pid)
    return pid


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def start(job: Any, folder: Path, seed: int = 0, size: int = 12) -> Any:
    """Run the workflow of a seed.

    Args:
        folder: Where effects are noted and orders lie.
        seed: Which workflow.
        size: About how many jobs it has.
    """
    return job.add_child(grow(folder, plan(seed, size)))


def _die_loading(order: Path) -> None:
    """Be killed while a worker loads this script, once."""
    if order.exists():
        order.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if "PRETENDED_HOST" in os.environ:
        pretended = os.environ.pop("PRETENDED_HOST")
        socket.gethostname = lambda: pretended
    main(start)
else:
    _die_loading(Path(os.environ.get("TESTED_LOADING", "none")))
