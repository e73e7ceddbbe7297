"""What tests of batch systems wait for comes, or is missed in time."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from toil_core.testing.runners import await_death, await_file


def test_a_file_that_is_there_is_not_waited_for(tmp_path: Path) -> None:
    await_file(tmp_path, 0.0)


@pytest.mark.parametrize("seconds", [60.0, None])
def test_a_file_that_comes_is_noticed(tmp_path: Path, seconds: float | None) -> None:
    coming = threading.Thread(target=(tmp_path / "file").touch)
    coming.start()
    await_file(tmp_path / "file", seconds)
    coming.join()
    assert (tmp_path / "file").exists()


def test_a_file_that_does_not_come_is_missed(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="still no .*/file"):
        await_file(tmp_path / "file", 0.0)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        await_file(tmp_path / "absent" / "file", 60.0)


def test_a_process_that_ends_is_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stdout.readline()
        with pytest.raises(TimeoutError, match=rf"process {process.pid} still runs: {sys.executable} -c print\(flush=True\); input\(\); . \(\w+\); its threads wait in \w+"):
            await_death(process.pid, 0.0)
        process.stdin.write(b"\n")
        process.stdin.close()
        await_death(process.pid, 60.0)


def test_a_process_that_never_was_is_no_more() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    await_death(gone.pid, 0.0)
