"""Many rows of numbers in little room, in a form that a browser unpacks by itself.

Each column is cut into planes: all lowest bytes, then all second bytes, and so on, so that what
hardly changes lies together. All planes and the texts are then deflated as one.
"""

from __future__ import annotations

import base64
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise

import msgspec


class Packed(msgspec.Struct, frozen=True):
    """Columns of whole numbers, and texts, of the same length.

    Args:
        rows: How many rows there are.
        columns: Of each column its name, how many planes it has, and whether each number is told by its difference to the one before.
        data: Base64 of the deflated planes, followed by the texts, one a line.
    """

    rows: int
    columns: tuple[tuple[str, int, bool], ...]
    data: str


def pack(columns: Mapping[str, Iterable[int]], texts: Sequence[str], *, growing: Sequence[str] = ()) -> Packed:
    """Pack columns of numbers from 0 to 2 ** 53.

    Args:
        columns: By name, all of one length; each is gone through once.
        texts: As many, without line breaks.
        growing: Names of columns in which no number is below the one before.
    """
    described, parts, squeezed = [], [], zlib.compressobj(6)
    for name, column in columns.items():
        steps = name in growing
        data = array("Q", _steps(column) if steps else column)
        if sys.byteorder == "big":
            data.byteswap()
        content = data.tobytes()
        width = (max(data, default=0).bit_length() + 7) // 8
        described.append((name, width, steps))
        parts += [squeezed.compress(content[plane::8]) for plane in range(width)]
    parts += [squeezed.compress("\n".join(texts).encode()), squeezed.flush()]
    return Packed(len(texts), tuple(described), base64.b64encode(b"".join(parts)).decode())


def unpack(packed: Packed) -> tuple[dict[str, list[int]], list[str]]:
    """The columns and the texts that were packed."""
    data = zlib.decompress(base64.b64decode(packed.data))
    place, columns = 0, {}
    for name, width, steps in packed.columns:
        column = [0] * packed.rows
        for plane in range(width):
            column = [number | (byte << 8 * plane) for number, byte in zip(column, data[place : place + packed.rows], strict=True)]
            place += packed.rows
        if steps:
            for row in range(1, packed.rows):
                column[row] += column[row - 1]
        columns[name] = column
    return columns, data[place:].decode().split("\n") if packed.rows else []


def _steps(column: Iterable[int]) -> Iterator[int]:
    return (number - before for before, number in pairwise(chain((0,), column)))
