"""Files while they are written."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from toil_core.errors import UsageError
from toil_core.workflow.file_values import File


class Output(BufferedWriter):
    """A file being written: a binary stream, and a path that a tool may write to instead.

    Made by `Files.create`. The file is kept when the `with` block ends, and is dropped when an
    error leaves the block.
    """

    def __init__(self, path: Path, key: str, keep: Callable[[Path], File]) -> None:
        super().__init__(FileIO(path, "xb"))
        self.path = path
        """Where it is written; the name ends like the file's."""
        self.key = key
        """The key that the file will have; `Files.find` finds it by that."""
        self._keep: Callable[[Path], File] | None = keep
        self._file: File | None = None

    @property
    def file(self) -> File:
        """The file, once the `with` block has ended.

        Raises:
            UsageError: It has not ended yet, or an error left it.
        """
        if self._file is None:
            raise UsageError(f"{self.path.name} is a file only after its `with` block has ended without an error")
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        keep, self._keep = self._keep, None
        try:
            self.close()
            if kind is None and keep is not None:
                self._file = keep(self.path)
        finally:
            self.path.unlink(missing_ok=True)


class TextOutput(TextIOWrapper):
    """A file being written: a text stream, and a path that a tool may write to instead.

    Made by `Files.create` with an encoding; see `Output`.
    """

    def __init__(self, output: Output, encoding: str, errors: str | None) -> None:
        super().__init__(output, encoding=encoding, errors=errors, newline="\n")
        self._output = output

    @property
    def path(self) -> Path:
        """Where it is written; the name ends like the file's."""
        return self._output.path

    @property
    def key(self) -> str:
        """The key that the file will have."""
        return self._output.key

    @property
    def file(self) -> File:
        """The file, once the `with` block has ended.

        Raises:
            UsageError: It has not ended yet, or an error left it.
        """
        return self._output.file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.flush()
        except BaseException as failed:
            self._output.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._output.__exit__(kind, error, trace)
