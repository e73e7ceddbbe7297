"""Keeps Python's collector of cyclic garbage from walking through a large graph again and again.

The graph takes its own cycles apart as jobs are done, so that there is little for a collector to find; yet with
Python's own thresholds half of the leader's time goes into looking.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RARE = (50_000, 20, 100)
"""A full collection is due only after so many times these objects more than before: 100 million."""

MANY = 100_000
"""So many new objects are worth not being walked through once more."""

_lock = threading.Lock()
_leaders = 0
_former = (0, 0, 0)


@contextmanager
def rare() -> Iterator[None]:
    """Collect rarely while any leader of this process is at work."""
    global _leaders, _former
    with _lock:
        _leaders += 1
        if _leaders == 1:
            _former = gc.get_threshold()
            if _former[0]:  # the user's program may have turned it off
                gc.set_threshold(*RARE)
    try:
        yield
    finally:
        with _lock:
            _leaders -= 1
            if not _leaders:
                gc.set_threshold(*_former)


@contextmanager
def paused() -> Iterator[None]:
    """Do not collect while much is made of which nothing is garbage, and do not take it for young afterwards."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            _grow_old()
            gc.enable()


def _grow_old() -> None:
    """Count all objects among the oldest, so that the next collection of young ones does not walk through what was made since the last.

    Only where these are many: what ages unseen brings no full collection nearer, and a process that has one small leader
    after another would never have any.
    """
    if gc.get_count()[0] >= MANY and not gc.get_freeze_count():  # what is frozen is the user's program's, which is to keep it so
        gc.freeze()
        gc.unfreeze()  # gives them back to the oldest generation
