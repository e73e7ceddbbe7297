"""Distributions that exist for one test: real metadata and modules in a folder that Python searches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def add_plugin(folder: Path, name: str, entry_points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]) -> None:
    """Put a distribution into the folder as an installer would.

    Args:
        folder: A folder for PYTHONPATH.
        name: The distribution's name.
        entry_points: For each group, name to target.
        modules: For each module's name, its source.
    """
    info = folder / f"{name.replace('-', '_')}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    lines = [f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in entries.items()) for group, entries in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(dedent(source))


def run_python(folder: Path, *arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter that finds the folder's distributions, and no config of the user's.

    Args:
        folder: Where `add_plugin` put them.
        arguments: For the `toil` command, when no code is given.
        code: What to run instead.
        environment: Further variables.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TOIL_", "XDG_"))}
    variables = {**kept, "PYTHONPATH": str(folder), "XDG_CONFIG_HOME": str(folder), "COLUMNS": "200", **environment}
    program = code or "import sys; from toil_core.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", dedent(program), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
