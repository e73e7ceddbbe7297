"""Standing in for the person in front of a program: its three streams as files, or as a terminal."""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Streams:
    """While open, this process's descriptors 0, 1 and 2 are files; `out` and `err` are what was written, once closed.

    Args:
        typed: What can be read from descriptor 0.
    """

    def __init__(self, typed: bytes) -> None:
        self._files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115  closed on leaving
        self._files[0].write(typed)
        self._files[0].seek(0)
        self.out = self.err = b""

    def __enter__(self) -> Self:
        self._restore = exchanged(*(file.fileno() for file in self._files))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
        for file in self._files:
            file.seek(0)
        _, self.out, self.err = (file.read() for file in self._files)
        for file in self._files:
            file.close()


class Terminal:
    """A terminal that this process has; it answers what it is shown.

    Args:
        main: The side of the person.
        answers: By what is shown, what is typed when it is.
    """

    def __init__(self, main: int, answers: dict[bytes, bytes]) -> None:
        self.shown = b""
        self._main = main
        self._answers = dict(answers)

    def watch(self) -> None:
        """Read and answer until the other side is closed."""
        while True:
            try:
                data = os.read(self._main, 4096)
            except OSError:  # Linux says so when nobody has the other side any more
                return
            if not data:
                return
            self.shown += data
            for cue in [cue for cue in self._answers if cue in self.shown]:
                os.write(self._main, self._answers.pop(cue))


@contextmanager
def terminal(answers: dict[bytes, bytes], rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    """While open, this process's descriptors 0, 1 and 2 are a terminal.

    Args:
        answers: By what is shown, what is typed when it is.
        rows: Its height.
        columns: Its width.
    """
    main, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    here = Terminal(main, answers)
    watching = threading.Thread(target=here.watch)
    restore = exchanged(other, other, other)
    os.close(other)
    watching.start()
    try:
        yield here
    finally:
        restore()
        watching.join()
        os.close(main)


def exchanged(*others: int) -> Callable[[], None]:
    """Put these in the places of descriptors 0, 1 and 2; what is returned puts the old ones back."""
    kept = [os.dup(number) for number in range(3)]
    for number, other in enumerate(others):
        os.dup2(other, number)

    def restore() -> None:
        for number, old in enumerate(kept):
            os.dup2(old, number)
            os.close(old)

    return restore
