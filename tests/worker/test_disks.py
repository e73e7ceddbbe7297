"""A full disk is named in the failure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toil_core import job, run
from toil_core.errors import WorkflowFailed
from toil_core.testing import needs
from toil_core.worker.disks import full_disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with needs.small_disk(tmp_path / "disk", "size=2m") as folder:
        yield folder


@job(cores=0.5, memory="64 MiB", disk="1 MiB", tries=1)
def fills(path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))


def test_the_folder_of_jobs(tmp_path: Path, small_disk: Path) -> None:
    with pytest.raises(WorkflowFailed) as failed:
        run(fills(Path("data")), job_store=f"file:{tmp_path}/store", work_dir=str(small_disk), disable_progress=True)
    said = str(failed.value)
    assert "out of disk: OSError: [Errno 28] No space left on device; the tmpfs file system" in said
    assert f"file system {small_disk}, which holds the jobs' temporary folder {small_disk} (--work-dir), is full: 0 B of 2.0 MiB are free" in said


def test_a_folder_elsewhere_that_the_error_names(tmp_path: Path, small_disk: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(small_disk / "out" / "file"))
    (small_disk / "out").mkdir()
    assert f"the tmpfs file system {small_disk}, which holds {small_disk}/out, is full:" in full_disk(error, str(tmp_path / "tmp"))


def test_what_cannot_be_told_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plenty: Any = os.statvfs_result((4096, 4096, 10**9, 10**9, 10**9, 10**6, 10**6, 10**6, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: plenty)
    assert full_disk(OSError(errno.ENOSPC, "No space left on device"), str(tmp_path)) == ""
    none_left: Any = os.statvfs_result((4096, 4096, 10**9, 10**9, 10**9, 10**6, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: none_left)
    assert full_disk(OSError(errno.ENOSPC, "No space left on device"), str(tmp_path)).endswith("is full: it has no inode left for another file")
