"""Logs of jobs that run."""

from __future__ import annotations

import json
import subprocess
import time
from io import BytesIO
from pathlib import Path

import pytest

from tests.monitor import stores
from tests.monitor.terminal import TOIL, Terminal, environment, piped
from toil_core.cli import main
from toil_core.leader import page
from toil_core.testing.runners import await_file
from toil_core.wire import keys

TALKING = Path(__file__).parent.parent / "monitor" / "talking.py"


def test_a_job_is_followed_to_its_end(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    terminal = Terminal([*TOIL, "run", TALKING, "s", "--gate", gate, "--retry-count", "0"], tmp_path)
    await_file(f"{gate}.open")
    following = subprocess.Popen([*TOIL, "logs", "s", "talk", "--follow"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
    assert following.stdout is not None
    assert following.stdout.readline() == "before the gate\n"
    shown = piped("logs", "s", "0.0", cwd=tmp_path)
    assert shown.stdout == "before the gate\n" and "--follow goes on" in shown.stderr
    listed = piped("logs", "s", cwd=tmp_path)
    assert "1 job runs on this machine (talk 0.0); `toil logs s 0.0 --follow` shows what it prints\n" in listed.stderr
    gate.touch()
    assert following.stdout.readline() == "behind the gate\n"
    following.stdout.close()
    assert following.wait(60) == 0
    assert terminal.end() != 0
    again = piped("logs", "s", "0.0", "-f", cwd=tmp_path)
    assert again.stdout.startswith("before the gate\nbehind the gate\n") and "no leader is known to work on this machine" in again.stderr
    every = json.loads(piped("logs", "s", "--json", cwd=tmp_path).stdout)
    (log,) = json.loads(piped("logs", "s", "talk", "--json", cwd=tmp_path).stdout)
    assert [each["job"] for each in every] == ["0.0"] and "text" not in every[0]
    assert log["text"].startswith("before the gate\n") and log["reason"] == "failed"


def test_of_a_job_on_another_machine_it_is_said_where_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, host="far-away")
    running = page.RequestPage("1-1", 0, "top", 1, "0.0", "node-7", time.time(), 1.0, 1 << 30, 1 << 30)
    told = page.Page(1, 1, time.time(), "", False, False, [], [running], 0, [], 0, [], 0, 0)
    store.write(keys.page(1), BytesIO(page.encode(told)))
    assert main(["logs", str(tmp_path / "s"), "top"]) == 0
    assert f"top left no log so far; it runs on node-7, where `toil logs {tmp_path / 's'} top --follow`" in capsys.readouterr().err


def test_what_cannot_be_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, host="far-away")
    assert main(["logs", str(tmp_path / "s"), "0.0", "--follow"]) == 0
    told = capsys.readouterr().err
    assert "ask on far-away" in told and "0.0 does not run on this machine now" in told and "0.0 left no log so far" in told
    for wrong in (["--follow"], ["0.0", "--follow", "--attempt", "1"], ["0.0", "--follow", "--json"]):
        assert main(["logs", str(tmp_path / "s"), *wrong]) == 2
    assert main(["logs", str(tmp_path / "s"), "nobody", "--follow"]) == 2


def test_jobs_that_are_done_are_named(tmp_path: Path) -> None:
    script = "from toil_core import job, main\n@job\ndef talk(): print('words')\n@job\ndef top(job): job.add_child(talk())\nif __name__ == '__main__': main(top)\n"
    (tmp_path / "talks.py").write_text(script)
    assert piped("run", "talks.py", "s", "--stats", "--write-logs-from-all-jobs", cwd=tmp_path).returncode == 0
    (log,) = json.loads(piped("logs", "s", "--json", cwd=tmp_path).stdout)
    assert (log["job"], log["name"], log["reason"]) == ("1-1.0.0", "talk", "")
    assert piped("logs", "s", "talk", cwd=tmp_path).stdout == "words\n"
