"""The CRC-32 of pieces is that of the whole."""

from __future__ import annotations

import random
import zlib
from functools import reduce

import pytest

from toil_core.crc import joined


@pytest.mark.parametrize("cuts", [[], [0], [1], [999], [1000], [0, 0, 1000, 1000], [1, 2, 3, 500, 501]])
def test_pieces_give_the_checksum_of_the_whole(cuts: list[int]) -> None:
    data = random.Random(len(cuts)).randbytes(1000)
    pieces = [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert reduce(lambda crc, piece: joined(crc, zlib.crc32(piece), len(piece)), pieces, 0) == zlib.crc32(data)


def test_zeros_are_not_lost() -> None:
    data, length = b"x" + bytes((8 << 20) + 3), (8 << 20) + 3
    assert joined(zlib.crc32(b"x"), zlib.crc32(bytes(length)), length) == zlib.crc32(data)


def test_the_order_of_pieces_is_told() -> None:
    first, second = zlib.crc32(b"one"), zlib.crc32(b"two")
    assert joined(first, second, 3) != joined(second, first, 3)
