"""How the content of files is copied."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from toil_core.job_store import PIECE
from toil_core.testing import needs
from toil_core.workflow.file_copy import copy_file, copy_stream, new_file

DATA = os.urandom(3 * PIECE + 7)


class Noted(io.BytesIO):
    """Notes how much each write brings: the system takes large ones slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.written.append(len(data))
        return super().write(data)


def test_a_stream_is_copied_in_pieces() -> None:
    target = Noted()
    assert copy_stream(io.BytesIO(DATA), target) == len(DATA)
    assert target.getvalue() == DATA
    assert target.written == [PIECE, PIECE, PIECE, 7]


def test_a_full_disk_is_named_and_nothing_stays_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(2 << 20))
    with needs.small_disk(tmp_path / "disk") as disk:
        with pytest.raises(OSError, match=f"No space left on device: '{disk}/copy'") as full:
            copy_file(source, disk / "copy")
        assert (full.value.errno, [*disk.iterdir()]) == (errno.ENOSPC, [])
        with pytest.raises(OSError, match=f"'{disk}/late'"), new_file(disk / "late") as late:
            os.posix_fallocate(late.fileno(), 0, os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize)
            late.seek(0, os.SEEK_END)
            late.write(b"what is written when the file is closed")
        assert [*disk.iterdir()] == []


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError), new_file(tmp_path / "there"):
        pass
    assert (tmp_path / "there").read_text() == "mine"
