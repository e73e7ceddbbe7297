"""Which file system is full, in words for the user."""

from __future__ import annotations

import os
from contextlib import suppress

_LITTLE = 1 << 20
_SHARE = 0.005


def full_disk(error: OSError, tmp: str) -> str:
    """Which file system has no space left, whose folder is on it, and how full it is; empty when that cannot be told.

    Args:
        error: What was raised: ENOSPC or EDQUOT.
        tmp: The attempt's own folder.
    """
    named = [os.fsdecode(name) for name in (error.filename2, error.filename) if isinstance(name, (str, bytes))]
    for path in named or [tmp, os.getcwd(), "/dev/shm"]:
        with suppress(OSError):
            folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
            facts = os.statvfs(folder)
            free, size = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
            if named or free < max(_LITTLE, _SHARE * size) or not facts.f_favail:
                return _words(folder, tmp, free, size, inodes=facts.f_files and not facts.f_favail)
    return ""


def _words(folder: str, tmp: str, free: int, size: int, *, inodes: bool | int) -> str:
    from toil_core.monitor.text import about

    mine = os.path.realpath(f"{folder}/").startswith(f"{os.path.realpath(tmp)}/") or os.path.realpath(folder) == os.path.realpath(tmp)
    whose = f"the jobs' temporary folder {tmp.partition('/toil-run-')[0]} (--work-dir)" if mine else folder
    left = "it has no inode left for another file" if inodes else f"{about(free)} of {about(size)} are free"
    kind, mount = _mount(folder)
    return f"the {kind} file system {mount}, which holds {whose}, is full: {left}"


def _mount(folder: str) -> tuple[str, str]:
    """The kind and the place of the file system that a folder is on."""
    number = os.stat(folder).st_dev
    wanted = f"{os.major(number)}:{os.minor(number)}"
    with suppress(OSError), open("/proc/self/mountinfo") as mounts:
        for line in mounts:
            fields, _, rest = line.partition(" - ")
            words = fields.split()
            if words[2] == wanted and os.path.realpath(folder).startswith(words[4].encode().decode("unicode_escape")):
                return rest.split()[0], words[4]
    place = os.path.realpath(folder)
    while not os.path.ismount(place):
        place = os.path.dirname(place)
    return "local", place
