"""The ids of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from toil_core import File


class FileID(str):
    """The id of a file in the job store; a text that also knows the file's size.

    Args:
        fileStoreID: The text.
        size: Length in bytes; None when it is not known.
        executable: Whether the file may be executed.
        crc: The CRC-32 of its content, if it is known.
    """

    size: int | None
    executable: bool
    crc: int | None

    def __new__(cls, fileStoreID: str, size: int | None = None, executable: bool = False, crc: int | None = None) -> Self:
        self = super().__new__(cls, fileStoreID)
        self.size = getattr(fileStoreID, "size", None) if size is None else size
        self.executable = executable or getattr(fileStoreID, "executable", False)
        self.crc = getattr(fileStoreID, "crc", None) if crc is None else crc
        return self

    @classmethod
    def of(cls, file: File) -> Self:
        """The id of a file of toil-core."""
        return cls(file.key, file.size, file.executable, file.crc)

    @classmethod
    def forPath(cls, fileStoreID: str, filePath: str | os.PathLike[str]) -> Self:
        """The id, with the size of what is at a path."""
        facts = Path(filePath).stat()
        return cls(fileStoreID, facts.st_size, bool(facts.st_mode & 0o100))

    @classmethod
    def unpack(cls, packedFileStoreID: str) -> Self:
        """What `pack` made a text of."""
        size, executable, text = packedFileStoreID.split(":", 2)
        return cls(text, int(size) if size else None, executable == "1")

    def pack(self) -> str:
        """Size, whether it may be executed, and the id, in one text."""
        return f"{'' if self.size is None else self.size}:{int(self.executable)}:{self!s}"

    def file(self) -> File | None:
        """The file of toil-core; None when its size is not known."""
        return None if self.size is None else File(str(self), self.size, self.rpartition("/")[2], self.executable, self.crc)

    def __reduce__(self) -> tuple[Any, ...]:
        return FileID, (str(self), self.size, self.executable, self.crc)
