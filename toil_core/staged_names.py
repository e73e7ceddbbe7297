"""Names for files in a job store's staging folder: they tell who makes the file.

What a killed process left behind can then be told from what a living one still needs.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress

_serial = itertools.count()
_machine_name = ""


def staged_name() -> str:
    """A file name that nobody else uses; any extension may be added to it."""
    return f"{_machine()}.{os.getpid()}.{next(_serial)}"


def abandoned(name: str) -> bool | None:
    """Whether the process that made a staged name is gone; None when it cannot be told from here."""
    machine, _, rest = name.partition(".")
    pid = rest.partition(".")[0]
    if machine != _machine() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return _zombie(pid)


def _zombie(pid: str) -> bool:
    """Whether the process has ended, and only its parent has not noticed yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] == b"Z"
    except OSError:
        return False


def _machine() -> str:
    """Tells this machine, as booted, and its process numbers from all others that share a folder."""
    global _machine_name
    if not _machine_name:
        import zlib

        facts = os.uname().nodename
        with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
            facts = file.read() + os.readlink("/proc/self/ns/pid")
        _machine_name = f"{zlib.crc32(facts.encode()):08x}"
    return _machine_name
