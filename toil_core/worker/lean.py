"""Keeping a fork server small, and what its attempts write to close together.

A fork copies a page table entry for each page of memory that a process holds, and a page for each
one that is written to afterwards, be it for a reference count. Both are most of what an attempt costs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import repeat

_POOL = 1 << 14
_HEADER = 48
_SIZES = range(16, 513, 16)
"""How large the blocks are that CPython's allocator gives out; larger ones are the C library's."""
_MOST = 1 << 18
"""Bytes to fill at most with blocks of one size."""
_SURE = 3
"""So many blocks beside a pool's first one, all given out in order, are no chance: the pool is new."""


def begin() -> None:
    """To be called before anything is imported: what is installed, and makes no difference, is left out."""
    with _left_out("typing_extensions"):  # from Python 3.11 on it gives msgspec nothing; it has 120 pages
        import msgspec  # noqa: F401


@contextmanager
def _left_out(name: str) -> Iterator[None]:
    """Let imports of the module fail meanwhile."""
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def fresh_pools() -> list[object]:
    """Begin a new pool of the allocator for each size of blocks, so that what is made from now on lies on few pages.

    Returns:
        What fills the pools so far; to be kept, or they are used again.
    """
    filling: list[object] = []
    for size in _SIZES:
        if not _fill(_maker(size), size, filling):  # another allocator, or another layout of this one
            break
    return filling


def _fill(make: Callable[[], object], size: int, filling: list[object]) -> bool:
    last, in_order = 0, 0
    for _ in repeat(None, _MOST // size):
        block = make()
        filling.append(block)
        place = id(block) % _POOL
        if place == _HEADER:
            in_order = 1
        elif in_order:
            blocks, rest = divmod(place - last, size)  # numbers of this very function may lie between
            in_order = in_order + 1 if 0 < blocks <= 4 and not rest else 0
        if in_order > _SURE:
            return True
        last = place
    return False


def _maker(size: int) -> Callable[[], object]:
    """What makes an object that takes one block of that size and is new at each call."""
    if size == 16:
        return object
    if size == 32:
        return partial(pow, 1j, 1j)
    return partial(bytes, size - b"".__sizeof__())
