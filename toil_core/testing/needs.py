"""What tests need of the machine that they run on."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest


def need(lacking: str) -> None:
    """Go on if nothing is lacking; else skip the test, or fail it in continuous integration, which has all (it sets `CI`).

    Args:
        lacking: What to install, or what else there must be; empty when all is there.
    """
    if lacking:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacking)


def library(name: str) -> Any:
    """The module of that name, for a whole file of tests: without it they are skipped, or fail in continuous integration."""
    return importlib.import_module(name) if os.environ.get("CI") else pytest.importorskip(name)


def under_permissions() -> list[str]:
    """What to put before a command so that permissions of files hold for it, root or not. What that takes is a `need`."""
    if os.geteuid():
        return []
    need("" if shutil.which("setpriv") else "install util-linux")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@contextmanager
def mounted(folder: Path, *command: str | Path, refused: Callable[[str], object] = pytest.skip) -> Iterator[Path]:
    """While open, the folder shows what a command mounts there; to be root and to have the command is a `need`.

    Args:
        folder: Where; it is made.
        command: The command; the folder is its last argument.
        refused: Called with what the command said when it could not: not every kernel has every file system.
    """
    need("only root can mount a file system" if os.geteuid() else "")
    need("" if shutil.which(command[0]) else f"{command[0]} is not installed")
    folder.mkdir()
    made = subprocess.run([*command, folder], check=False, capture_output=True, text=True)
    if made.returncode:
        refused(f"{' '.join(map(str, command))}: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def small_disk(folder: Path, *options: str) -> AbstractContextManager[Path]:
    """While open, the folder has room for a megabyte. What that takes is a `need`.

    Args:
        folder: Where; it is made.
        options: Of the file system instead of that size, as mount has them.
    """
    return mounted(folder, "mount", "-t", "tmpfs", "-o", ",".join(options or ["size=1m"]), "tmpfs", refused=need)


def remount(folder: Path, options: str, seconds: float = 60.0) -> None:
    """Change the options of what is mounted there, as mount has them.

    A file system cannot become read-only while somebody has a file open to write it, and no event tells when that ends: it is asked again until then.

    Args:
        folder: Where it is mounted.
        options: Such as `ro` or `size=64m`.
        seconds: How long at most.

    Raises:
        AssertionError: It is refused for another reason, or still busy after that time.
    """
    deadline = time.monotonic() + seconds
    while (said := _mount("-o", f"remount,{options}", folder)) and "busy" in said and time.monotonic() < deadline:
        os.sched_yield()
    assert not said, said


def _mount(*arguments: str | Path) -> str:
    """What mount says when it refuses, else nothing."""
    made = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return made.stderr.strip() or "refused without a word" if made.returncode else ""
