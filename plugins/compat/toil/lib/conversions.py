"""Amounts of bytes as people write them."""

from __future__ import annotations

from toil_core.sizes import parse_size

_PREFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def human2bytes(string: str | float) -> int:
    """Bytes from `2G`, `1.5 Gi` or `100M`; without an `i` a prefix is a power of 1000.

    Raises:
        BadOption: It is no size.
    """
    return parse_size(string)


def bytes2human(n: float) -> str:
    """The amount with the largest binary prefix that leaves at least 1: `2.0 Gi`.

    Raises:
        ValueError: It is below 0.
    """
    if n < 0:
        raise ValueError(f"{n} is no number of bytes")
    power = 0
    while n >= 1024 and power < len(_PREFIXES) - 1:
        n /= 1024
        power += 1
    return f"{n:.1f} {_PREFIXES[power]}"


def convert_units(num: float, src_unit: str, dst_unit: str = "B") -> float:
    """The number of another unit that is the same amount: `convert_units(2, "GiB", "MiB")`."""
    return num * _size_of(src_unit) / _size_of(dst_unit)


def _size_of(unit: str) -> int:
    return parse_size(f"1 {unit}")
