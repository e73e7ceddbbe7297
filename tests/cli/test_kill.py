from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitor import stores
from tests.monitor.terminal import TOIL, WORKFLOW, Terminal, piped
from toil_core.cli import main
from toil_core.leader import epoch
from toil_core.wire import keys


def killed(*arguments: str | Path) -> int:
    return main(["kill", *map(str, arguments)])


@pytest.fixture
def stubborn() -> Iterator[int]:
    """A process that takes no notice of SIGTERM."""
    code = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    yield process.pid
    process.kill()
    process.communicate()


@pytest.mark.parametrize("force", [False, True])
def test_a_leader_and_its_jobs_are_ended(force: bool, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    terminal = Terminal([*TOIL, "run", WORKFLOW, "s", "--gate", gate, "--jobs", "3"], tmp_path)
    terminal.until(r"leaf +2/3")
    ended = piped("kill", "s", "--json", *(["--force"] if force else []), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {"fate": "ended", "leader": 1, "host": socket.gethostname(), "pid": terminal.pid}
    assert terminal.end() == (-signal.SIGKILL if force else 143)
    assert "nothing runs on s" in piped("kill", "s", cwd=tmp_path).stdout
    gate.touch()
    again = piped("run", WORKFLOW, "s", "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "goes on; 3 of 4 jobs done" in again.stderr


def test_a_leader_that_does_not_end_in_time(tmp_path: Path, stubborn: int, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, pid=stubborn, born=epoch._born(stubborn))
    assert killed(tmp_path / "s", "--timeout", "0.1") == 1
    assert f"toil kill --force {tmp_path}/s" in capsys.readouterr().out
    assert killed(tmp_path / "s", "--force") == 0
    assert "ended the run" in capsys.readouterr().out
    assert epoch._born(stubborn) == 0


def test_another_process_with_the_leaders_number_is_left_alone(tmp_path: Path, stubborn: int, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, pid=stubborn, born=1)
    assert killed(tmp_path / "s", "--force") == 0
    assert "nothing runs" in capsys.readouterr().out
    os.kill(stubborn, 0)


def test_a_leader_elsewhere_is_asked_through_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, host="far-away")
    for _ in range(2):
        assert killed(tmp_path / "s") == 0
        assert "asked the leader" in capsys.readouterr().out
    with store.read(keys.kill(1)) as stream:
        assert json.loads(stream.read())["host"] == socket.gethostname()
    assert killed(tmp_path / "s", "--force") == 2
    assert "cannot be ended by force from here" in capsys.readouterr().err


def test_a_leader_hears_what_it_is_asked_through_the_store(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    terminal = Terminal([*TOIL, "run", WORKFLOW, "s", "--gate", gate, "--jobs", "3", "--kill-check-interval", "0.2"], tmp_path)
    terminal.until(r"leaf +2/3")
    stores.opened(tmp_path / "s").create(keys.kill(1), b"{}")
    terminal.until("asked this leader to end")
    assert terminal.end() == 143


def test_a_run_that_ended_in_good_order_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = stores.begun(tmp_path / "s")
    stores.led(store, pid=stores.dead_process())
    stores.committed(store)
    stores.folded(store, ended=True)
    before = sorted(blob.key for blob in store.list())
    assert killed(tmp_path / "s") == 0
    assert "nothing runs" in capsys.readouterr().out
    assert sorted(blob.key for blob in store.list()) == before


@pytest.mark.parametrize("begun", [False, True])
def test_where_no_leader_was(begun: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if begun:
        stores.begun(tmp_path / "s")
    assert killed(tmp_path / "s") == (0 if begun else 2)
    assert ("nothing runs" in capsys.readouterr().out) is begun
