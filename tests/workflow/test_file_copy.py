"""How the content of files is copied."""

from __future__ import annotations

import io
import os

from toil_core.job_store import PIECE
from toil_core.workflow.file_copy import copy_stream

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
