"""A job store whose files nobody can link to, and that notes each file read: like one in a cloud."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from toil_core.drivers.file import FileJobStore
from toil_core.job_store import Blob, JobStore
from toil_core.options import Config


class WithoutPaths(JobStore):
    """A file job store that hides its paths.

    Args:
        folder: Where it lies.
        on_read: Called with each key that is read.
    """

    def __init__(self, folder: Path, on_read: Callable[[str], None] = lambda key: None) -> None:
        self._store = FileJobStore(str(folder / "store"), Config())
        self._notes = folder / "reads"
        self.on_read = on_read
        self._store.prepare()

    @property
    def reads(self) -> list[str]:
        """The keys of files that were read, by any process."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def prepare(self) -> None:
        self._store.prepare()

    def destroy(self) -> None:
        self._store.destroy()

    def create(self, key: str, data: bytes) -> None:
        self._store.create(key, data)

    def write(self, key: str, stream: BinaryIO) -> None:
        self._store.write(key, stream)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        fd = os.open(self._notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{key}\n".encode())
        os.close(fd)
        self.on_read(key)
        return self._store.read(key, start, stop)

    def stat(self, key: str) -> Blob:
        return self._store.stat(key)

    def delete(self, keys: Iterable[str]) -> None:
        self._store.delete(keys)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return self._store.list(prefix)
