"""Helpers that scripts use beside their jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import toil
from toil.lib.memoize import memoize
from toil.lib.misc import atomic_copy, get_public_ip, get_user_name, mkdir_p, robust_rmtree
from toil.lib.retry import retry


def test_a_function_is_called_again_until_it_succeeds() -> None:
    calls: list[int] = []
    said: list[str] = []
    prepared: list[int] = []

    @retry(intervals=[0, 0, 0], errors=[OSError], log_message=(said.append, "once more"), prepare=[lambda: prepared.append(1)])
    def unsure(need: int) -> int:
        calls.append(need)
        if len(calls) < need:
            raise ConnectionError("no answer")
        return len(calls)

    assert unsure(3) == 3
    assert said == ["once more: no answer"] * 2 and prepared == [1, 1]
    with pytest.raises(ConnectionError):
        unsure(100)
    assert len(calls) == 7


def test_other_errors_are_not_tried_again() -> None:
    calls = []

    @retry(intervals=[0], errors=[OSError])
    def wrong() -> None:
        calls.append(1)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        wrong()
    assert calls == [1]


def test_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    mkdir_p(str(folder))
    mkdir_p(str(folder))
    (folder / "one").write_text("1")
    atomic_copy(str(folder / "one"), str(folder / "two"), executable=True)
    assert (folder / "two").read_text() == "1" and os.access(folder / "two", os.X_OK)
    assert sorted(each.name for each in folder.iterdir()) == ["one", "two"]
    with pytest.raises(FileNotFoundError):
        atomic_copy(str(folder / "none"), str(folder / "three"))
    for path in (folder / "one", tmp_path / "a", tmp_path / "none"):
        robust_rmtree(str(path))
    assert not list(tmp_path.iterdir())


def test_who_and_where() -> None:
    assert get_public_ip().count(".") == 3
    assert get_user_name()


def test_what_is_remembered_is_not_computed_twice() -> None:
    calls: list[int] = []

    @memoize
    def square(number: int) -> int:
        calls.append(number)
        return number * number

    assert [square(3), square(3)] == [9, 9] and calls == [3]


def test_unknown_names_of_the_package_are_told() -> None:
    with pytest.raises(AttributeError, match="'toil' has no attribute 'nothing'"):
        toil.nothing  # noqa: B018
