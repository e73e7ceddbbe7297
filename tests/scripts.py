"""Scripts, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent


def run_script(folder: Path, source: str, *arguments: str, code: int = 0, path: str = "") -> subprocess.CompletedProcess[str]:
    """Write a script, and run it in its folder as `python script.py ARGUMENTS`.

    Args:
        folder: The folder.
        source: The script; empty when it was written before.
        arguments: The command line.
        code: The exit code that is right.
        path: A folder to put before all others on PATH.
    """
    script = folder / "script.py"
    if source:
        script.write_text(dedent(source))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TOIL_", "XDG_"))}
    variables = {**kept, "XDG_CONFIG_HOME": str(folder), "COLUMNS": "200", "PATH": f"{path}:{kept['PATH']}" if path else kept["PATH"]}
    done = subprocess.run(
        [sys.executable, str(script), *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
