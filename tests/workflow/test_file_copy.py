"""How the content of files is copied."""

from __future__ import annotations

import errno
import io
import os
import zlib
from pathlib import Path

import pytest

from toil_core.job_store import PIECE
from toil_core.testing import needs
from toil_core.workflow.file_copy import copy_checked, copy_file, copy_stream, new_file

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


class Saving(io.BytesIO):
    """Gets into a file by itself, and notes how."""

    saved: tuple[int, bool] | None = None

    def save(self, descriptor: int, start: int, *, checked: bool) -> tuple[int, int]:
        self.saved = start, checked
        data = self.read()
        os.pwrite(descriptor, data, start)
        return len(data), zlib.crc32(data) if checked else 0


def test_a_stream_that_can_saves_itself_where_the_file_is(tmp_path: Path) -> None:
    stream = Saving(DATA)
    with (tmp_path / "file").open("xb") as target:
        target.write(b"head")
        assert copy_checked(stream, target) == (len(DATA), zlib.crc32(DATA))
        target.write(b"tail")
    assert stream.saved == (4, True)
    assert (tmp_path / "file").read_bytes() == b"head" + DATA + b"tail"
    again = Saving(DATA)
    with (tmp_path / "other").open("xb") as target:
        assert copy_stream(again, target) == len(DATA)
    assert again.saved == (0, False)


def test_what_has_no_places_is_written_in_turn(tmp_path: Path) -> None:
    stream, memory = Saving(DATA), io.BytesIO()
    assert copy_checked(stream, memory) == (len(DATA), zlib.crc32(DATA))
    assert memory.getvalue() == DATA and stream.saved is None
    path = tmp_path / "file"
    path.write_bytes(b"head")
    stream = Saving(DATA)
    with path.open("ab") as target:
        copy_stream(stream, target)
    assert path.read_bytes() == b"head" + DATA and stream.saved is None
    reading, writing = os.pipe()
    stream = Saving(DATA[:1000])
    with os.fdopen(reading, "rb") as out:
        with os.fdopen(writing, "wb") as target:
            copy_stream(stream, target)
        assert out.read() == DATA[:1000] and stream.saved is None


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
