"""Files beside a script, or scripts, that are called like a module that the engine imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toil_core import hiding

SCRIPT = """
from toil_core import job, main

@job(cores=0.1, memory="64 MiB")
def count():
    return [1]

if __name__ == "__main__":
    main(count)
"""


def start(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TOIL_DISABLE_PROGRESS": "true", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, script, f"file:{folder}/store"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("hidden", ["types.py", "typing.py", "random.py", "queue.py", "socket.py", "re/__init__.py", "json/__init__.py", "msgspec.py"])
def test_a_file_beside_the_script_is_named_in_one_line(tmp_path: Path, hidden: str) -> None:
    (tmp_path / "count.py").write_text(SCRIPT)
    file = tmp_path / hidden
    file.parent.mkdir(exist_ok=True)
    file.write_text("x = 1\n")
    done = start(tmp_path, "count.py")
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"count.py: {file} hides ")
    assert last.endswith(": rename the file")
    assert "Traceback" not in done.stderr


def test_a_script_that_is_called_so_itself(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(SCRIPT)
    done = start(tmp_path, "random.py")
    assert done.returncode == 2
    assert done.stderr == f"random.py: {tmp_path}/random.py hides Python's own module 'random': rename the file\n"


def test_a_file_that_hides_what_the_engine_does_not_need_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "count.py").write_text(SCRIPT)
    (tmp_path / "turtle.py").write_text("x = 1\n")
    done = start(tmp_path, "count.py")
    assert done.returncode == 0, done.stderr


def test_other_errors_go_on(tmp_path: Path) -> None:
    hiding.leave_if_hidden(ImportError("no", name="json", path="/elsewhere/json.py"))
    hiding.leave_if_hidden(AttributeError("no", obj=os, name="nothing"))
    hiding.leave_if_hidden(ValueError("no"))
