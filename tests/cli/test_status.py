from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.monitor.stores import begun, committed, dead_process, folded, led, opened
from tests.monitor.terminal import TOIL, WORKFLOW, Terminal, piped
from toil_core.cli import main
from toil_core.wire import keys


def shown(*arguments: str | Path) -> int:
    return main(["status", *map(str, arguments)])


def test_a_person_reads_counts_failures_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "s"
    store = begun(folder)
    led(store, pid=dead_process())
    committed(store)
    assert shown(folder) == 0
    text = capsys.readouterr().out
    assert "leader:  died before the end" in text
    assert "jobs:    2 of 5 done, 2 waiting, 1 failed" in text
    assert "leaf      4     1        0        2       1  0.50 s  1.00 s      9.0 MiB" in text
    assert f"failed for good:\n  leaf 1-1.0.2: over time: ran for 9 s\n    its log: toil logs {folder} 1-1.0.2" in text
    assert "failed, and to be tried again:\n  leaf 1-1.0.1" in text
    assert text.endswith(f"Next: go on with `python /home/me/words.py {folder} --restart` when the cause of the failures is gone.\n")


def test_programs_read_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    folded(store, ended=True)
    assert shown(tmp_path / "s", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["total"], status["done"], status["failed"], status["complete"]) == (5, 2, 1, False)
    assert status["leader"]["state"] == "stopped"
    assert [kind["name"] for kind in status["kinds"]] == ["top", "leaf"]
    assert status["next"].startswith("Next: go on with")


@pytest.mark.parametrize("flag", ["--fail-if-not-complete", "--failIfNotComplete"])
def test_a_script_can_ask_whether_all_is_done(flag: str, tmp_path: Path) -> None:
    ended = piped("run", WORKFLOW, "s", "--clean", "never", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    done = piped("status", "s", flag, cwd=tmp_path)
    assert done.returncode == 0
    assert "jobs:    4 of 4 done; complete" in done.stdout
    assert "`toil clean s` removes the job store" in done.stdout
    begun(tmp_path / "t")
    assert piped("status", "t", flag, cwd=tmp_path).returncode == 1


def test_leaders_are_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = begun(tmp_path / "s")
    shown(tmp_path / "s")
    assert "there was none yet" in capsys.readouterr().out
    led(store)
    shown(tmp_path / "s")
    assert "Next: wait; the leader is at work." in capsys.readouterr().out
    led(store, 2, host="elsewhere")
    shown(tmp_path / "s")
    assert "ask on elsewhere whether the leader still runs; when it has ended: `python /home/me/words.py" in capsys.readouterr().out


def test_a_half_made_store_can_be_cleaned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = opened(tmp_path / "s")
    store.prepare()
    store.create(keys.commit(keys.ROOT, 0), b"begun")
    assert shown(tmp_path / "s") == 0
    assert f"remove it with `toil clean {tmp_path / 's'}`" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["absent", "folder", "file"])
def test_what_is_no_store_is_refused_in_a_line(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter").touch()
    (tmp_path / "file").touch()
    assert shown(tmp_path / place) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"toil: error: there is no job store at {tmp_path / place}")
    assert told.err.count("\n") == 1


def test_a_leader_at_work_is_watched_from_outside_and_then_killed(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    terminal = Terminal([*TOIL, "run", WORKFLOW, "s", "--gate", gate, "--jobs", "3"], tmp_path)
    terminal.until(r"leaf +2/3")
    status = json.loads(piped("status", "s", "--json", cwd=tmp_path).stdout)
    assert (status["leader"]["state"], status["leader"]["pid"]) == ("running", terminal.pid)
    assert (status["done"], status["open"], status["total"]) == (3, 1, 4)
    for command in (["clean", "s", "--force"], ["run", WORKFLOW, "s", "--restart"]):
        refused = piped(*command, cwd=tmp_path)
        assert refused.returncode == 2
        assert f"(process {terminal.pid} on " in refused.stderr
        assert refused.stderr.count("\n") == 1
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.end() == -signal.SIGKILL
    assert json.loads(piped("status", "s", "--json", cwd=tmp_path).stdout)["leader"]["state"] == "dead"
    gate.touch()
    again = piped("run", WORKFLOW, "s", "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "goes on; 3 of 4 jobs done" in again.stderr
