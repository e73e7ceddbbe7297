"""What this machine, or the container around us, has."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toil_core.batch_system import Accelerator, Requirement

_UNLIMITED = 1 << 60


def offer(folder: Path) -> Requirement:
    """What there is for jobs.

    Args:
        folder: Where jobs have their temporary files.
    """
    count = gpus()
    devices = (Accelerator(count, brand="nvidia", api="cuda"),) if count else ()
    return Requirement(cores(), memory(), free_disk(folder), accelerators=devices)


def cores() -> float:
    """Processor cores that this process may use."""
    return min(float(len(os.sched_getaffinity(0))), _quota())


def memory() -> int:
    """Bytes of memory that this process may use."""
    total = next(int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    limits = [_number(folder / name) for folder in _cgroups("memory") for name in ("memory.max", "memory.limit_in_bytes")]
    return min([total, *(limit for limit in limits if limit)])


def free_disk(folder: Path) -> int:
    """Bytes that this user can still write there."""
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize


def gpus() -> int:
    """How many graphics processors are visible."""
    return sum(1 for name in os.listdir("/dev") if re.fullmatch(r"nvidia[0-9]+", name))


def _quota() -> float:
    found = [float("inf")]
    for folder in _cgroups("cpu"):
        limit = _text(folder / "cpu.max").split()
        if len(limit) == 2 and limit[0].isdigit():
            found.append(int(limit[0]) / int(limit[1]))
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period:
            found.append(quota / period)
    return min(found)


def _cgroups(controller: str) -> list[Path]:
    """Folders of the control groups that this process is in, and of those above them."""
    folders = []
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = Path("/sys/fs/cgroup") / (controllers or "")
        inner = root / path.lstrip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root)]
    return folders


def _number(path: Path) -> int:
    """The limit in the file; 0 when there is none."""
    text = _text(path).strip()
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
