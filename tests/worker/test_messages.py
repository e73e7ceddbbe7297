"""Messages on their way between the processes of a worker host."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from toil_core.worker import messages


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("size", [1, 5000, 3 << 20])
def test_messages_of_any_size_go_through_a_pipe_one_by_one(pipe: tuple[int, int], size: int) -> None:
    out, into = pipe
    sent = [bytes([number]) * size for number in range(3)]

    def write() -> None:
        for message in sent:
            messages.put(into, message)

    writer = threading.Thread(target=write)
    writer.start()
    assert [messages.take(out) for _ in sent] == sent
    writer.join()


@pytest.mark.parametrize("written", [b"", b"\x10\0\0\0", b"\x10\0\0\0half"])
def test_a_pipe_that_nobody_can_write_to_any_more_holds_no_message(pipe: tuple[int, int], written: bytes) -> None:
    out, into = pipe
    os.write(into, written)
    os.close(into)
    assert messages.take(out) == b""


def test_large_messages_travel_in_a_file_that_goes_when_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "spill"
    assert messages.pack(b"small", str(file)) == b"small"
    packed = messages.pack(b"x" * (messages.INLINE + 1), str(file))
    assert len(packed) < 1000
    assert file.stat().st_mode & 0o077 == 0
    assert messages.unpack(packed) == b"x" * (messages.INLINE + 1)
    assert not file.exists()
