"""The scripts that nodes run about runs, at moments that are hard to meet."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from toil_core.cluster import run_scripts
from toil_core.testing.needs import need


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that holds no lock and has no exit code, on a node whose home is its great-grandparent."""
    folder = tmp_path / ".toil" / "runs" / "words-1"
    folder.mkdir(parents=True)
    (folder / "command").write_text("words.py")
    (folder / "alive").touch()
    return folder


def listed(home: Path, path: str = "") -> list[str]:
    """What is told of the one run."""
    environment = {"HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", run_scripts.LIST], env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\t")


def test_a_run_that_is_gone_without_an_exit_code_is_lost(run: Path, tmp_path: Path) -> None:
    assert listed(tmp_path)[:3] == ["words-1", "", "lost"]


def test_a_run_that_ends_while_it_is_looked_at_is_not_lost(run: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "flock").write_text(f"#!/bin/sh\necho 3 >{run}/exit-code\n")  # the lock is free, and the code is there by now
    (tmp_path / "bin" / "flock").chmod(0o755)
    assert listed(tmp_path, str(tmp_path / "bin"))[:3] == ["words-1", "3", "ended"]


def test_where_there_is_no_tmux_screen_will_do(run: Path, tmp_path: Path) -> None:
    need("" if shutil.which("screen") else "screen is not installed")
    (tmp_path / "bin").mkdir()
    for program in ("sh", "cat", "mkfifo", "flock", "tee", "mv", "rm", "timeout", "tail", "screen"):
        found = shutil.which(program)
        assert found, program
        (tmp_path / "bin" / program).symlink_to(found)
    (run / "code").mkdir()
    (tmp_path / ".toil" / "environment").touch()
    with TemporaryDirectory(prefix="s-") as sockets:  # whose paths must be short
        environment = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), "SCREENDIR": sockets, "TERM": "dumb"}

        def on_node(script: str, *words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([str(tmp_path / "bin" / "sh"), "-c", script, "sh", "words-1", *words], env=environment, capture_output=True, text=True, check=False)

        started = on_node(run_scripts.START, "sh", "-c", "echo said; exit 3")
        assert started.returncode == 0, started.stderr
        followed = on_node(run_scripts.FOLLOW)
    assert (followed.stdout, followed.returncode) == ("said\n", 3)
