"""What a job's log says of what it raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import BadLocator, UsageError
from toil_core.options import Config
from toil_core.worker.failure import failure_of
from toil_core.workflow.files import Files


def test_a_place_that_cannot_be_written_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MemoryJobStore("failures", Config()) as store:
        files = Files(store, "files/0/a/", tmp_path, Config())
        file = files.write("text", "a.txt")
        with pytest.raises(BadLocator) as raised:
            files.export_url(file, "nowhere://a/b")
    failure = failure_of(raised.value)
    lines = capsys.readouterr().err.splitlines()
    line = raised.traceback[0].lineno + 1
    assert lines == [f"{failure.message} ({__file__}, line {line}, in {test_a_place_that_cannot_be_written_is_told_in_a_line.__name__})"]
    assert "nowhere" in lines[0] and not failure.retry


@pytest.mark.parametrize("kind", [UsageError, ValueError])
def test_what_the_users_own_code_raises_has_its_traceback(kind: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    def check() -> None:
        raise kind("no such sample")

    with pytest.raises(kind) as raised:
        check()
    failure_of(raised.value)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and any("in check" in line for line in lines) and lines[-1].endswith("no such sample")


def test_what_a_function_of_the_users_raises_inside_the_engine_has_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Odd:
        def __fspath__(self) -> str:
            raise ValueError("no path today")

    with MemoryJobStore("failures", Config()) as store:
        files = Files(store, "files/0/a/", tmp_path, Config())
        with pytest.raises(ValueError, match="no path") as raised:
            files.write(Odd())
    failure_of(raised.value)
    assert "in __fspath__" in capsys.readouterr().err
