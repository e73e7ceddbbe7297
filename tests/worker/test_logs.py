from __future__ import annotations

from pathlib import Path

from toil_core.worker import logs


def test_a_short_log_is_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 100)
    assert logs.bounded(str(tmp_path / "log"), 100) == logs.bounded(str(tmp_path / "log"), 0) == b"x" * 100


def test_a_long_one_says_what_was_cut(tmp_path: Path) -> None:
    data = b"a" * 50 + b"m" * 900 + b"z" * 51
    (tmp_path / "log").write_bytes(data)
    kept = logs.bounded(str(tmp_path / "log"), 101)
    assert kept == logs.cut(data, 101)
    assert kept.startswith(b"a" * 50 + b"\n[... 900 bytes") and kept.endswith(b"...]\n" + b"z" * 51)


def test_the_tail_is_the_last_lines() -> None:
    data = "".join(f"line {n}\n" for n in range(100)).encode()
    assert logs.tail(data).split("\n") == [f"line {n}" for n in range(80, 100)]
    assert logs.tail(b"\xff\xfe") and logs.tail(b"") == ""
