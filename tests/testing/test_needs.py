"""What tests need of the machine that they run on."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from toil_core.testing.needs import need, remount, small_disk


def test_a_disk_becomes_read_only_when_nobody_writes_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, shims = tmp_path / "answers", tmp_path / "bin"
    need("" if (real := shutil.which("mount")) else "mount is not installed")
    os.mkfifo(answers)
    shims.mkdir()
    (shims / "mount").write_text(f'#!/bin/sh\n{real} "$@"\ncode=$?\necho $code >{answers}\nexit $code\n')
    (shims / "mount").chmod(0o755)
    with small_disk(tmp_path / "disk") as disk, os.fdopen(os.open(answers, os.O_RDWR)) as answered, ThreadPoolExecutor() as pool:
        monkeypatch.setenv("PATH", f"{shims}:{os.environ['PATH']}")
        with (disk / "written").open("w"):
            done = pool.submit(remount, disk, "ro")
            assert answered.readline() == "32\n"
        while answered.readline() != "0\n":
            pass
        done.result(timeout=60)
        with pytest.raises(OSError, match="Read-only"):
            (disk / "more").touch()


def test_what_mount_refuses_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, pytest.raises(AssertionError, match="mount"):
        remount(disk, "size=nonsense")
