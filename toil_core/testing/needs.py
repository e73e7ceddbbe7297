"""What tests need of the machine that they run on."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
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


def remount(folder: Path, options: str) -> None:
    """Change the options of what is mounted there, as mount has them."""
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
