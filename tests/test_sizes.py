from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toil_core.errors import BadOption
from toil_core.sizes import (
    cores,
    count,
    format_duration,
    format_size,
    parse_cores,
    parse_count,
    parse_duration,
    parse_factor,
    parse_size,
    parse_waiting_time,
    rounded_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000000", 1_000_000),
        ("2G", 2 * 10**9),
        ("2g", 2 * 10**9),
        ("2GB", 2 * 10**9),
        ("1 GiB", 2**30),
        ("1gib", 2**30),
        ("1Gi", 2**30),
        ("100M", 10**8),
        ("1.5 KiB", 1536),
        (".5k", 500),
        ("1.", 1),
        ("1e9", 10**9),
        ("1E", 10**18),
        ("7 bytes", 7),
        ("1 Byte", 1),
        ("  64 MiB\n", 64 * 2**20),
        ("0.3", 1),
        (1.5, 2),
        (2048, 2048),
    ],
)
def test_sizes_are_read(text: str | float, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "2 Gx", "2 GiBi", "-1", "1,5G", "1 G 2", "0x10", "nan", "inf", "1e-3", "٢G", "2_000", "1e999", "8 EiB", True]
)
def test_a_bad_size_is_named_with_examples(text: str) -> None:
    with pytest.raises(BadOption) as raised:
        parse_size(text)
    assert repr(text) in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.integers(0, 2**63 - 1))
def test_a_formatted_size_is_read_back_exactly(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 2**20), st.sampled_from(["k", "M", "G"]), st.sampled_from(["", " "]), st.sampled_from(["", "B", "b"]))
def test_prefixes_are_powers(number: int, prefix: str, space: str, end: str) -> None:
    power = "kMG".index(prefix) + 1
    assert parse_size(f"{number}{space}{prefix}{end}") == number * 1000**power
    assert parse_size(f"{number}{space}{prefix.upper()}i{end}") == number * 1024**power


@given(st.text())
def test_any_text_is_a_size_or_a_bad_option(text: str) -> None:
    try:
        size = parse_size(text)
    except BadOption:
        return
    assert 0 <= size < 2**63


@pytest.mark.parametrize(("size", "text"), [(2**31, "2 GiB"), (10**8, "100 MB"), (1001, "1001 B"), (5000, "5 kB"), (0, "0 B")])
def test_sizes_are_shown_short(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1 h 30 min", 5400), ("1.5 days", 129600), ("250ms", 0.25), (7, 7)],
)
def test_durations_are_read(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "soon", "10 x", "1h30", "-5", "1e9", "m", "10:30", "nan", "9" * 30])
def test_a_bad_duration_is_named(text: str) -> None:
    with pytest.raises(BadOption, match="duration"):
        parse_duration(text)


def test_no_time_is_no_waiting_time() -> None:
    assert parse_waiting_time("1.5") == 1.5
    for text in ("0", "0s", 0.0):
        with pytest.raises(BadOption, match="leaves no time; write 90"):
            parse_waiting_time(text)


@given(st.integers(0, 10**9))
def test_a_formatted_duration_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text())
def test_any_text_is_a_duration_or_a_bad_option(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except BadOption:
        return


def test_cores_counts_and_factors_are_read() -> None:
    assert parse_cores("0.5") == 0.5
    assert parse_cores(1e-05) == 1e-05
    assert parse_factor("0") == 0
    assert parse_count("12") == 12


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", ""])
def test_bad_cores_are_named(text: str) -> None:
    with pytest.raises(BadOption, match="is not a number of cores; write 1, 0.5 or 16"):
        parse_cores(text)


@pytest.mark.parametrize("text", ["-1", "1.5", "", "x", "9" * 19])
def test_bad_counts_are_named(text: str) -> None:
    with pytest.raises(BadOption, match="whole number"):
        parse_count(text)


def test_sizes_for_people_have_four_digits() -> None:
    assert [rounded_size(n) for n in (0, 1023, 1536, 5 << 30, 3 << 40)] == ["0 B", "1023 B", "1.5 KiB", "5 GiB", "3 TiB"]
    assert rounded_size((2 << 30) // 3) == "682.7 MiB"


def test_one_is_not_plural() -> None:
    assert (count(1, "job"), count(0, "job"), count(2000, "job")) == ("1 job", "0 jobs", "2,000 jobs")
    assert (cores(1), cores(0.5), cores(16.0)) == ("1 core", "0.5 cores", "16 cores")
