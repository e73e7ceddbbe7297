from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.monitor.stores import begun, committed, dead_process, folded, led, opened
from toil_core.cli import clean as cleaning
from toil_core.cli import main
from toil_core.drivers.file import FileJobStore
from toil_core.errors import UsageError
from toil_core.wire import keys


def clean(*arguments: str | Path) -> int:
    return main(["clean", *map(str, arguments)])


def test_a_store_is_removed_and_what_went_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = begun(tmp_path / "s")
    led(store, pid=dead_process())
    committed(store)
    blobs = [*store.list()]
    assert clean("--dry-run", tmp_path / "s") == 0
    assert capsys.readouterr().out.startswith(f"would remove {tmp_path / 's'}: {len(blobs)} blobs, ")
    assert [*store.list()] == blobs
    assert clean(tmp_path / "s") == 0
    assert capsys.readouterr().out.startswith(f"removed {tmp_path / 's'}: {len(blobs)} blobs, ")
    assert not (tmp_path / "s").exists()


def test_a_store_whose_leader_stopped_is_removed_although_that_process_lives(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    folded(store, ended=True)
    assert clean(tmp_path / "s") == 0
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("flags", [[], ["--force"], ["--yes"], ["--dry-run"]])
def test_a_leader_at_work_is_never_disturbed(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = begun(tmp_path / "s")
    led(store)
    before = [*store.list()]
    assert clean(*flags, tmp_path / "s") == 2
    assert "a leader works on" in capsys.readouterr().err
    assert [*store.list()] == before


def test_a_leader_out_of_sight_needs_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = begun(tmp_path / "s")
    led(store, host="elsewhere")
    assert clean(tmp_path / "s") == 2
    assert "on elsewhere); when you know that it has ended, add --force" in capsys.readouterr().err
    assert clean("--force", tmp_path / "s") == 0
    assert not (tmp_path / "s").exists()


def test_half_made_stores_are_removed(tmp_path: Path) -> None:
    empty, begun_only = opened(tmp_path / "empty"), opened(tmp_path / "begun")
    for store in (empty, begun_only):
        store.prepare()
    begun_only.create(keys.commit(keys.ROOT, 0), b"begun")
    assert clean(tmp_path / "empty", tmp_path / "begun") == 0
    assert [*tmp_path.iterdir()] == []


def test_an_absent_store_is_worth_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean(tmp_path / "absent") == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("toil: warning: there is no job store")


def test_anything_else_is_left_alone_and_the_rest_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to mother").touch()
    begun(tmp_path / "s")
    assert clean(tmp_path / "letters", tmp_path / "s") == 2
    told = capsys.readouterr()
    assert told.err == f"toil: error: {tmp_path / 'letters'} is not a job store, so nothing was removed\n"
    assert (tmp_path / "letters" / "to mother").exists()
    assert not (tmp_path / "s").exists()


def test_programs_read_json_and_many_blobs_are_not_all_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    begun(tmp_path / "s")
    folder = str(tmp_path / "s")
    monkeypatch.setattr(cleaning, "COUNTED", 1)
    assert clean("--json", "--dry-run", folder) == 0
    would = json.loads(capsys.readouterr().out)
    assert (would["locator"], would["removed"], would["blobs"], would["more"]) == (folder, False, 2, False)
    assert clean("--json", folder) == 0
    gone = json.loads(capsys.readouterr().out)
    assert (gone["removed"], gone["blobs"], gone["more"]) == (True, 1, True)
    assert clean("--json", folder) == 0
    never = json.loads(capsys.readouterr().out)
    assert (never["removed"], never["blobs"]) == (False, 0)
    begun(tmp_path / "s")
    assert clean(folder) == 0
    assert f"removed {folder}: at least 1 blob, at least " in capsys.readouterr().out


def test_removing_much_is_announced_and_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cleaning, "COUNTED", 3)
    store = begun(tmp_path / "s")
    led(store, pid=dead_process())
    committed(store)
    real, left = os.unlink, [4]

    def unlink(path: str | bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(os, "unlink", unlink)
    assert clean(tmp_path / "s") == 130
    assert "more than 3 blobs" in capsys.readouterr().err
    assert (tmp_path / "s").exists()
    assert clean(tmp_path / "s") == 0
    assert not (tmp_path / "s").exists()


def test_what_cannot_be_read_any_more_can_be_removed_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    led(begun(tmp_path / "s"), pid=dead_process())

    def read(self: FileJobStore, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        raise UsageError(f"{key} is encrypted, and its key is not there")

    monkeypatch.setattr(FileJobStore, "read", read)
    assert clean(tmp_path / "s") == 2
    assert "its key is not there" in capsys.readouterr().err
    assert clean("--force", tmp_path / "s") == 0
    assert not (tmp_path / "s").exists()
