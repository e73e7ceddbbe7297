"""What the jobs do: the same functions under every engine, as cheap as they can be."""

from __future__ import annotations

import os
import struct
import time
from itertools import pairwise, repeat
from pathlib import Path

BLOCK = 1 << 20
"""Bytes read or written at a time."""

_HOP = struct.Struct("dd")


def nothing(_number: int = 0) -> None:
    """The job that does nothing."""


def hop(before: int, notes: str) -> int:
    """A link of a chain: note when it began and ended.

    Args:
        before: What the link before returned.
        notes: File to append the times to; all clocks of one machine agree.
    """
    began = time.monotonic()
    fd = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, _HOP.pack(began, time.monotonic()))
    os.close(fd)
    return before + 1


def hops(notes: Path) -> list[float]:
    """Seconds between the end of each link and the beginning of the next, from the notes that `hop` made."""
    links = sorted(_HOP.iter_unpack(notes.read_bytes()))
    return [after[0] - before[1] for before, after in pairwise(links)]


def make(path: str | Path, size: int) -> None:
    """Write a file of that many bytes.

    Args:
        path: Where.
        size: In bytes, a multiple of `BLOCK`.
    """
    block = os.urandom(BLOCK)
    with open(path, "wb", buffering=0) as file:
        file.writelines(repeat(block, size // BLOCK))


def read_through(path: str | Path) -> int:
    """Read a file whole, keeping nothing, and say how long it is."""
    buffer, size = bytearray(BLOCK), 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            size += count
    return size


def tell(fifo: str, number: int) -> None:
    """Say through a named pipe, whose reader may be gone, that a job runs.

    Args:
        fifo: The pipe.
        number: Which job; fits four bytes.
    """
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    os.write(fd, number.to_bytes(4, "little"))
    os.close(fd)
