"""The CRC-32 of content whose pieces were looked at apart, or at the same time."""

from __future__ import annotations

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320
_ONE, _BYTE = 1 << 31, 1 << 23
"""1, and x to the power of a byte's bits: polynomials are written as CRC-32 does, with the highest power in the lowest bit."""


def joined(first: int, second: int, length: int) -> int:
    """The CRC-32 of two pieces after each other.

    Args:
        first: That of the first piece.
        second: That of the second one.
        length: Bytes of the second piece.
    """
    return _times(_shift(length), first) ^ second


@lru_cache(maxsize=16)
def _shift(length: int) -> int:
    """What a CRC-32 is multiplied by when so many bytes of zero come after it; almost all parts are of one length."""
    result, power = _ONE, _BYTE
    while length:
        if length & 1:
            result = _times(power, result)
        power = _times(power, power)
        length >>= 1
    return result


def _times(one: int, other: int) -> int:
    """The product of two polynomials, of which the first is not zero, modulo CRC-32's."""
    product, bit = 0, _ONE
    while one:
        if one & bit:
            product ^= other
            one ^= bit
        bit >>= 1
        other = (other >> 1) ^ _POLYNOMIAL if other & 1 else other >> 1
    return product
