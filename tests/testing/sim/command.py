"""Running `toil-sim` in a process of its own, as users do; there it is not slowed down by what measures coverage."""

from __future__ import annotations

import os
import subprocess
import sys


def toil_sim(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "toil_core.testing.sim", *map(str, arguments)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env={**inherited, **environment})


def check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("everything held\n")
