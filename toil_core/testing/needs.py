"""What tests need of the machine that they run on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def need(lacking: str) -> None:
    """Go on if nothing is lacking; else skip the test, or fail it in continuous integration, which has all (it sets `CI`).

    Args:
        lacking: What to install, or what else there must be; empty when all is there.
    """
    if lacking:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacking)


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[Path]:
    """While open, the folder has room for a megabyte. The test is skipped where that cannot be made.

    Args:
        folder: Where; it is made.
        options: Of the file system instead of that size, as mount has them.
    """
    if os.geteuid():
        pytest.skip("only root can make a small file system: mount -t tmpfs")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options or ["size=1m"]), "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    need(f"a small file system, but: {mounted.stderr.strip()}" if mounted.returncode else "")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
