"""A job store that is removed, or moved away, while a workflow runs on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.monitor.terminal import WORKFLOW, environment, piped


def test_a_store_that_is_moved_away_ends_the_run_and_is_gone_on_with_when_it_is_back(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    words = [sys.executable, str(WORKFLOW), "s", "--gate", str(gate), "--disable-progress", "--events", "/dev/stdout"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ended = 0
        while ended < 3:
            line = process.stdout.readline()
            assert line
            ended += "JobDone" in line
        (tmp_path / "s").rename(tmp_path / "away")
        gate.touch()
        error = process.communicate(timeout=240)[1]
    assert process.returncode == 1, error
    assert error.splitlines()[-1].startswith(f"workflow.py: the job store file:{tmp_path}/s is gone: it was removed or moved while the workflow ran")
    assert "Traceback" not in error
    (tmp_path / "away").rename(tmp_path / "s")
    again = piped("run", WORKFLOW, "s", "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
