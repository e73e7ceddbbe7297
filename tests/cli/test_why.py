from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.monitor import stores
from toil_core.cli import main
from toil_core.errors import Transient
from toil_core.monitor import why


def test_a_person_reads_steps_and_programs_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, pid=stores.dead_process())
    stores.committed(store)
    assert main(["why", str(tmp_path / "s"), "1-1.0.3"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("leaf 1-1.0.3 could run, but no leader is at work.\nthe leader (process ")
    assert "  What to do: go on with `python /home/me/words.py" in text
    assert main(["why", str(tmp_path / "s"), "--json"]) == 0
    leader, failed = json.loads(capsys.readouterr().out)
    assert (leader["what"], failed["what"]) == ("leader", "failed")
    assert main(["why", str(tmp_path / "s"), "nobody"]) == 2
    assert main(["why", str(tmp_path / "t")]) == 2


def test_a_store_that_cannot_be_reached_is_a_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stores.begun(tmp_path / "s")

    def unreachable(*_: object) -> None:
        raise Transient("no route to host")

    monkeypatch.setattr(why, "why_run", unreachable)
    assert main(["why", str(tmp_path / "s"), "--json"]) == 1
    (cause,) = json.loads(capsys.readouterr().out)
    assert cause["what"] == "unreachable" and "no route to host" in cause["text"] and cause["advice"]
