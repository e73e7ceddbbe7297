"""What is sent is sent whole, and in few pieces."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace

import pytest
from botocore.httpchecksum import AwsChunkedWrapper
from toil_core.errors import Transient

from toil_aws import bodies

DATA = os.urandom((2 << 20) + 5)


class Sized(io.BytesIO):
    """A body that tells its length, as the SDK's parts of files do."""

    def __init__(self, data: bytes, length: int) -> None:
        super().__init__(data)
        self._length = length

    def __len__(self) -> int:
        return self._length


def enlarged(body: object) -> bodies.Pieces:
    request = SimpleNamespace(body=body)
    bodies.enlarge(request)
    assert isinstance(request.body, bodies.Pieces)
    assert not hasattr(request.body, "read")  # else it would be read 16 KiB at a time
    return request.body


def test_all_is_sent_and_once_more_after_a_failure() -> None:
    pieces = enlarged(Sized(DATA, len(DATA)))
    for _ in range(2):
        sent = list(pieces)
        assert b"".join(sent) == DATA
        assert len(sent) == -(-len(DATA) // bodies.PIECE)
        pieces.seek(0)


def test_what_is_framed_stays_framed() -> None:
    sent = list(enlarged(AwsChunkedWrapper(io.BytesIO(DATA))))
    assert b"".join(sent) == AwsChunkedWrapper(io.BytesIO(DATA)).read()
    assert len(sent) < 8


def test_a_body_that_became_shorter_is_told() -> None:
    with pytest.raises(Transient, match="shorter"):
        list(enlarged(Sized(DATA, len(DATA) + 1)))


def test_bytes_are_left_alone() -> None:
    request = SimpleNamespace(body=DATA)
    bodies.enlarge(request)
    assert request.body is DATA
