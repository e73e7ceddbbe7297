"""Amounts, spans of time and tables as people read them on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def about(size: float) -> str:
    """An amount of bytes in three or four digits: `640 B`, `1.5 MiB`, `1023 GiB`."""
    for unit in _UNITS[:-1]:
        if size < 1023.5:
            return f"{size:.1f} {unit}" if size < 99.95 and unit != "B" else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def span(seconds: float) -> str:
    """A span of time: `0.24 s`, `12.3 s`, `2:05` for minutes, `1:02:05` for hours, `3 d 1:02:05`."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours}:{minutes:02}:{left:02}" if hours or days else f"{minutes}:{left:02}"
    return f"{days} d {clock}" if days else clock


def printable(text: str) -> str:
    """The text without anything that could do more to a terminal than show letters.

    Of a line that was overwritten again and again, as by a progress bar, the last state is kept.
    """
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", _ESCAPES.sub("", "\n".join(lines)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Rows below a head, in columns two blanks apart.

    Args:
        head: The names of the columns.
        rows: As many texts each.
        right: Which columns are set flush right.
    """
    lines, flush = [head, *rows], set(right)
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(_set(text, width, i in flush) for i, (text, width) in enumerate(zip(line, widths, strict=True))).rstrip() for line in lines)


def _set(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
