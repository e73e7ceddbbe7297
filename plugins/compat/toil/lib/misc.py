"""Small things about files and addresses, under the names that scripts import."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def mkdir_p(path: str) -> None:
    """Make a folder and those above it, unless they are there."""
    os.makedirs(path, exist_ok=True)


def robust_rmtree(path: str | bytes) -> None:
    """Remove a file, or a folder with all that is in it, also when others remove it too."""
    with suppress(FileNotFoundError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def atomic_copy(src_path: str, dest_path: str, executable: bool | None = None) -> None:
    """Copy a file to a place where it appears whole or not at all.

    Args:
        src_path: The file.
        dest_path: Its place.
        executable: Whether it may be executed by its owner; as the file is if not given.
    """
    with _appearing(dest_path) as staged:
        shutil.copy(src_path, staged)
        if executable is not None:
            mode = os.stat(staged).st_mode
            os.chmod(staged, mode | 0o100 if executable else mode & ~0o111)


@contextmanager
def _appearing(path: str) -> Iterator[str]:
    staged = f"{path}.{os.getpid()}.part"
    try:
        yield staged
        os.replace(staged, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(staged)


def get_public_ip() -> str:
    """This machine's address as others reach it; that of loopback when there is no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("203.0.113.1", 1))  # sends nothing; the kernel only chooses the address
            return str(asking.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def get_user_name() -> str:
    """The user's name, or their number when they have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"UID{os.getuid()}"
