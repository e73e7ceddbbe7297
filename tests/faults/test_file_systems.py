"""Job stores and work folders on file systems of many kinds, mounted for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.runs import Run, end_of
from toil_core.testing.needs import mounted, need, remount


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_on_a_disk(kind: str, tmp_path: Path, new_run: Callable[..., Run]) -> None:
    need("" if shutil.which(f"mkfs.{kind}") else f"mkfs.{kind} is not installed")
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 320 << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    with mounted(tmp_path / "disk", "mount", "-o", "loop", image) as disk:
        works_on(disk, new_run)


def test_on_overlayfs(small_disk: Path, tmp_path: Path, new_run: Callable[..., Run]) -> None:
    remount(small_disk, "size=64m")
    for name in ("lower", "upper", "work"):
        (small_disk / name).mkdir()
    layers = f"lowerdir={small_disk}/lower,upperdir={small_disk}/upper,workdir={small_disk}/work"
    with mounted(tmp_path / "over", "mount", "-t", "overlay", "-o", layers, "overlay") as disk:
        works_on(disk, new_run)


def test_on_fuse_which_hides_open_files_that_are_removed(tmp_path: Path, new_run: Callable[..., Run]) -> None:
    (tmp_path / "below").mkdir()
    with mounted(tmp_path / "disk", "bindfs", tmp_path / "below") as disk:
        works_on(disk, new_run)


def test_read_only_from_now_on(small_disk: Path, new_run: Callable[..., Run]) -> None:
    remount(small_disk, "size=64m")
    run = new_run(seed=21, size=20, store=small_disk / "store")
    run.halt(3)
    leader = run.start()
    with run.meet(3):
        remount(small_disk, "ro")
    code, out, said = end_of(leader)
    assert (code, out) == (1, "")
    assert f"the tmpfs file system of {run.store} is mounted read-only" in said.splitlines()[-1]
    assert "--restart" in said.splitlines()[-1]
    run.await_no_process()
    settled, since = run.settled(), len(run.effects())
    code, _, said = end_of(run.start(restart=True))
    assert code == 2
    assert "is mounted read-only; mount it writable" in said
    remount(small_disk, "rw")
    run.succeed(restart=True)
    run.check(since, settled)


def works_on(disk: Path, new_run: Callable[..., Run]) -> None:
    """Run a workflow with all that it needs there, end it in the middle, and go on."""
    (disk / "tmp").mkdir()
    run = new_run(seed=21, size=20, store=disk / "store", options=["--work-dir", str(disk / "tmp"), "--default-disk", "1 MiB"])
    run.order(6, "end SIGKILL leader wait")
    end_of(run.start())
    run.await_no_process()
    settled, since = run.settled(), len(run.effects())
    run.succeed(restart=True)
    run.check(since, settled)
    assert os.listdir(disk / "tmp") == []
