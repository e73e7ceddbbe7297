"""What the benchmarks ran on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from benchmarks.catalog import ROOT, SUBJECTS, version

_TURNS = 2_000_000


def describe(cores: int, scratch: Path) -> dict[str, str]:
    """Machine and versions, by what they are called in the document."""
    processor, memory = _find("/proc/cpuinfo", r"model name\s*: (.*)"), _find("/proc/meminfo", r"MemTotal:\s*(\d+)")
    return {
        "Processor": f"{processor}, {cores} of {os.cpu_count()} cores used",
        "Memory": f"{int(memory) / 2**20:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Job stores on": _file_system(scratch),
        "Commit": _commit(),
        "Versions": ", ".join(f"{subject.package} {version(subject.key)}" for subject in SUBJECTS if version(subject.key)),
        "Load before": load(),
    }


def load() -> str:
    """How many processes have wanted a core, on the average of the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def pace() -> float:
    """Processor microseconds of one turn of a fixed loop: what is measured beside others' work is told in these too."""
    start, found = time.process_time(), 0
    for number in range(_TURNS):
        found += number & 7
    return 1e6 * (time.process_time() - start) / _TURNS


def _find(path: str, pattern: str) -> str:
    match = re.search(pattern, Path(path).read_text())
    return match[1] if match else "?"


def _file_system(folder: Path) -> str:
    found, best = "?", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if folder.is_relative_to(place) and len(place) >= len(best):
            found, best = kind, place
    return found


def _commit() -> str:
    said = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "?"
