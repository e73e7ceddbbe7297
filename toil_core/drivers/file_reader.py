"""A part of an open file as a stream whose failures speak the engine's language."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

from toil_core.errors import ToilError


class Span(io.RawIOBase):
    """The bytes [start, stop) of a file.

    Args:
        fd: The open file; closed with the stream.
        start: The first byte's place in the file.
        stop: The place after the last byte; None for the file's end.
        translate: Turns the system's error into the engine's.
    """

    def __init__(self, fd: int, start: int, stop: int | None, translate: Callable[[OSError], ToilError]) -> None:
        self._fd, self._start, self._translate = fd, start, translate
        size = os.fstat(fd).st_size
        self._stop = max(start, size if stop is None else min(stop, size))
        self._at = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._stop}[whence]
        self._at = max(self._start, base + offset)
        return self.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._stop - self._at)
        if wanted <= 0:
            return 0
        try:
            done = os.preadv(self._fd, [memoryview(buffer)[:wanted]], self._at)
        except OSError as error:
            raise self._translate(error) from error
        self._at += done
        return done

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()
