"""What a plugin author sees of a contract that a driver breaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
import pytest
from toil_core.drivers.file import FileJobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract

class Forgetful(FileJobStore):
    def list(self, prefix=""):
        yield from sorted(super().list(prefix), key=lambda blob: blob.key)[:7]

class TestForgetful(JobStoreContract):
    page = 9

    @pytest.fixture
    def store(self, tmp_path):
        return Forgetful(str(tmp_path / "store"), Config())
"""


def test_a_promise_that_is_not_kept_is_shown_with_what_came_instead(tmp_path: Path) -> None:
    (tmp_path / "test_forgetful.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", ".", "-k", "more_keys_than_a_page", "test_forgetful.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "assert 7 == 9" in ended.stdout, ended.stdout
