"""Scripts, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

CHAIN = """
    from toil_core import job, main

    @job(memory="64 MiB", cores=0.5)
    def lone(job, left: int = 10, files: bool = False, last=None):
        if last is not None:
            job.files.read(last).read_text()
        if left > 1:
            job.add_child(lone(left - 1, files, job.files.write("x" * 100_000) if files else None))
        return left

    if __name__ == "__main__":
        main(lone)
    """
"""A workflow of `--left` jobs, one after another, each with a file for the next if there are to be `--files`."""


def tiny(*, isolated: bool) -> str:
    """A workflow of `--count` tiny jobs below one.

    Args:
        isolated: Whether each has a process of its own.
    """
    return dedent(f"""
        from toil_core import job, main

        @job(memory="16 MiB", cores=0.5, isolated={isolated})
        def tiny(job, number: int):
            return number

        @job(memory="256 MiB", cores=0.5)
        def root(job, count: int = 10):
            for number in range(count):
                job.add_child(tiny(number))
            return count

        if __name__ == "__main__":
            main(root)
        """)


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
