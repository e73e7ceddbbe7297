from __future__ import annotations

import pytest

from toil_core.monitor.text import about, printable, span, table


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (640, "640 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1.5 * 2**20, "1.5 MiB"), (2**30 - 1, "1.0 GiB"), (200 * 2**40, "200 TiB")],
)
def test_sizes_are_rounded(size: float, shown: str) -> None:
    assert about(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.00 s"), (9.996, "10.0 s"), (12.34, "12.3 s"), (59.97, "1:00"), (125, "2:05"), (3725, "1:02:05"), (3 * 86400 + 3725, "3 d 1:02:05")],
)
def test_spans_grow_with_their_units(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_nothing_that_moves_a_terminals_cursor_remains() -> None:
    assert printable("10%\r20%\r30%\r\nred \x1b[31mtext\x1b[0m\x1b]0;title\x07\x9b2J\ttab\x00\nend") == "30%\nred text2J\ttab\nend"


def test_columns_are_aligned() -> None:
    assert table(("job", "n"), [("a", "1"), ("long", "200")], right=[1]) == "job     n\na       1\nlong  200"
