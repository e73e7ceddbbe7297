"""Which lines of some files a test runs, and how much processor time it takes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import msgspec


class Reached(msgspec.Struct):
    """What one test runs.

    Args:
        seconds: The processor time it takes.
        lines: Of each file, by its path, which lines it runs.
    """

    seconds: float
    lines: dict[str, set[int]]

    def any(self, file: str, first: int, last: int) -> bool:
        """Whether it runs one of the lines from the first to the last, that is a part of what stands there."""
        lines = self.lines.get(file, ())
        return any(line in lines for line in range(first, last + 1))


@contextmanager
def watching(files: Iterable[str]) -> Iterator[Reached]:
    """What is run meanwhile, in all threads that begin; complete at the end.

    Args:
        files: Paths of the files whose lines matter.
    """
    found = Reached(0.0, {file: set() for file in files})
    locals = {file: _local(lines) for file, lines in found.lines.items()}

    def called(frame: FrameType, event: str, argument: object) -> Any:
        return locals.get(frame.f_code.co_filename)

    started = time.process_time()
    threading.settrace(called)
    sys.settrace(called)
    try:
        yield found
    finally:
        sys.settrace(None)
        threading.settrace(None)
        found.seconds = time.process_time() - started
        found.lines = {file: lines for file, lines in found.lines.items() if lines}


def _local(lines: set[int]) -> Callable[[FrameType, str, object], Any]:
    def ran(frame: FrameType, event: str, argument: object) -> Any:
        lines.add(frame.f_lineno)
        return ran

    return ran
