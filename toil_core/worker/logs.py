"""What is kept of an attempt's log."""

from __future__ import annotations

import os

from toil_core.sizes import count

TAIL_LINES = 20
TAIL_BYTES = 4096


def bounded(path: str, most: int) -> bytes:
    """The file's content; when it is larger, its head and its tail with a line between that says what was cut.

    Args:
        path: The log.
        most: Bytes to keep; 0 for all.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not most or size <= most:
            return file.read()
        head = file.read(most // 2)
        file.seek(size - (most - most // 2))
        return _joined(head, file.read(), size - most)


def cut(data: bytes, most: int) -> bytes:
    """The same for a log that is at hand."""
    if not most or len(data) <= most:
        return data
    half = most // 2
    return _joined(data[:half], data[len(data) - (most - half) :], len(data) - most)


def tail(data: bytes) -> str:
    """The last lines, as text."""
    lines = data[-TAIL_BYTES:].decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def _joined(head: bytes, end: bytes, missing: int) -> bytes:
    return b"".join([head, f"\n[... {count(missing, 'byte')} left out here: --max-log-file-size sets how much is kept ...]\n".encode(), end])
