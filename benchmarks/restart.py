"""Kill a leader with SIGKILL when half of its jobs have run, restart it, and count what ran."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.catalog import Subject
from benchmarks.measure import Measured, measure


class Listener:
    """Hears every job that runs, through a named pipe.

    Args:
        fifo: Path of the pipe.
    """

    def __init__(self, fifo: Path) -> None:
        self.runs: Counter[int] = Counter()
        self._fd = os.open(fifo, os.O_RDWR)
        self._half = threading.Event()
        self._at = 0

    def half(self, count: int, limit: float) -> bool:
        """Wait until so many jobs have run."""
        self._at = count
        return self._half.wait(limit)

    def listen(self) -> None:
        """Count until the end is told."""
        while True:
            data = os.read(self._fd, 4096)
            for place in range(0, len(data), 4):
                number = int.from_bytes(data[place : place + 4], "little")
                if number == _END:
                    return
                self.runs[number] += 1
                if len(self.runs) >= self._at > 0:
                    self._half.set()

    def close(self) -> None:
        """Say the end."""
        os.write(self._fd, _END.to_bytes(4, "little"))


_END = 2**32 - 1


@contextmanager
def listening(fifo: Path) -> Iterator[Listener]:
    os.mkfifo(fifo)
    listener = Listener(fifo)
    thread = threading.Thread(target=listener.listen)
    thread.start()
    try:
        yield listener
    finally:
        listener.close()
        thread.join()


def kill_and_restart(subject: Subject, size: int, scratch: Path, cores: int, limit: float) -> tuple[Measured, dict[str, Any]]:
    """What the restart cost, and how many jobs ran more than once.

    Args:
        subject: One whose script knows the variants `tell` and `restart`.
        size: How many jobs.
        scratch: An empty folder.
        cores: How many jobs may run at a time.
        limit: Seconds that either run may take.

    Raises:
        TimedOut: One of them took longer.
        RuntimeError: The restarted workflow did not run every job.
    """
    fifo = scratch / "fifo"
    environment = subject.environment()
    with listening(fifo) as listener:

        def kill(pid: int) -> None:
            listener.half(size // 2, limit)
            os.kill(pid, signal.SIGKILL)

        first = replace(subject, variant="tell").command("fan", size, scratch, cores, str(fifo))
        measure(first, cwd=scratch, environment=environment, limit=limit, meanwhile=kill)
        before = len(listener.runs)
        second = replace(subject, variant="restart").command("fan", size, scratch, cores, str(fifo))
        restarted = measure(second, cwd=scratch, environment=environment, limit=limit)
    if restarted.status == 0 and len(listener.runs) != size:
        raise RuntimeError(f"{size - len(listener.runs)} of {size} jobs never ran")
    again = sum(count - 1 for count in listener.runs.values())
    return restarted, {"jobs": size - before, "again": again}
