"""Attempts that use too much or raise errors: ended for the right reason, tried again, and their logs are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.faults.runs import DEADLINE

SCRIPT = Path(__file__).with_name("misbehave.py")


class Ran:
    """A run of `misbehave.py` that has ended.

    Args:
        folder: A folder for it alone.
        what: Which job misbehaves.
        options: More options.
    """

    def __init__(self, folder: Path, what: str, *options: str, work: Path | None = None) -> None:
        self.store = folder / "store"
        tmp = work or folder / "tmp"
        tmp.mkdir(exist_ok=True)
        ended = subprocess.run(
            [sys.executable, str(SCRIPT), f"file:{self.store}", "--what", what, "--marker", str(folder / "marker")]
            + ["--clean", "never", "--retry-backoff-seconds", "0", "--work-dir", str(tmp), *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            cwd=folder,
        )
        self.code, self.out, self.said = ended.returncode, ended.stdout.strip(), ended.stderr
        assert [name for name in os.listdir(tmp) if name != "filler"] == []

    def log(self, job: str) -> str:
        """What `toil logs` shows of the job."""
        call = [sys.executable, "-c", "import sys; from toil_core.cli import main; sys.exit(main())", "logs", f"file:{self.store}", job]
        return subprocess.run(call, check=True, capture_output=True, text=True, timeout=DEADLINE).stdout


def test_out_of_memory_is_tried_again_with_more(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "hungry", "--out-of-memory-factor", "4")
    assert ran.code == 0, ran.said
    assert int(ran.out) == 256 << 20
    assert "hungry 1-1.0.0: out of memory: used " in ran.said
    assert "asked for 64 MiB" in ran.said
    assert "filling memory" in ran.said


def test_out_of_memory_for_good(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "hungry", "--out-of-memory-factor", "1.5")
    assert ran.code == 1
    assert ran.said.count("out of memory: used ") >= 2
    assert "1 job failed for good" in ran.said


def test_over_time_is_tried_again(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "slow", "--over-time-factor", "1000")
    assert (ran.code, ran.out) == (0, "in time"), ran.said
    assert "slow 1-1.0.0: over time: did not end in its 0.5 s" in ran.said


def test_error_is_tried_again_and_its_log_is_kept(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "wrong")
    assert (ran.code, ran.out) == (0, "right"), ran.said
    assert "wrong 1-1.0.0: failed: ValueError: these numbers do not add up" in ran.said
    assert "line 99" in ran.said
    assert "line 1\n" not in ran.said
    log = ran.log("1-1.0.0")
    assert "line 0\n" in log
    assert log.rstrip().endswith("ValueError: these numbers do not add up")


def test_error_is_tried_as_often_as_asked(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "wrong", "--retry-count", "0")
    assert ran.code == 1
    assert "wrong 1-1.0.0: failed: ValueError: these numbers do not add up" in ran.said
    assert f"toil logs file:{ran.store} 1-1.0.0" in ran.said
    assert f"--restart on file:{ran.store}" in ran.said


def test_out_of_disk_is_told_apart(tmp_path: Path, small_disk: Path) -> None:
    ran = Ran(tmp_path, "greedy", work=small_disk)
    assert ran.code == 1
    assert "greedy 1-1.0.0: out of disk: OSError: [Errno 28] No space left on device" in ran.said, ran.said
