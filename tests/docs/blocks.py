"""Running what documentation shows.

A fenced block after `<!-- file: NAME -->` is the content of a file. A console block after `<!-- run: NAMES -->` is run in a
folder with those files: earlier blocks of the page, or files and folders of the repository. Lines that start with `$ ` are commands,
the others what they print; `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_BLOCK = re.compile(r"<!-- (file|run): ?(.*?) ?-->\n```[a-z]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Console:
    """A console block that is to be run.

    Args:
        page: The page that shows it.
        files: By name, the files that it needs.
        steps: Each command and what it prints.
    """

    page: str
    files: dict[str, str]
    steps: tuple[tuple[str, str], ...]


def consoles(page: Path) -> Iterator[Console]:
    """The console blocks of a page."""
    shown: dict[str, str] = {}
    for kind, names, body in _BLOCK.findall(page.read_text()):
        if kind == "file":
            shown[names] = body
        else:
            yield Console(page.name, {name: shown.get(name, "") for name in names.split()}, tuple(_steps(body)))


def run(console: Console, folder: Path) -> None:
    """Do what the block shows, and compare."""
    for name, content in console.files.items():
        source = ROOT / name
        if content:
            (folder / name).write_text(content)
        elif source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder)
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(folder), "TOIL_STATE_DIR": str(folder / ".state")}
    environment = {**os.environ, **own}
    try:
        for command, wanted in console.steps:
            code, printed, errors = _shell(command, folder, environment)
            assert code == 0, f"{console.page}: {command}: {errors}"
            assert re.fullmatch(re.escape(wanted.strip()).replace(r"\.\.\.", ".*"), printed.strip(), re.DOTALL), f"{command}: {printed}"
    finally:
        for cluster in (folder / ".state" / "clusters").glob("*"):  # of a block that failed
            _shell(f"toil destroy-cluster {cluster.name}", folder, environment)


def _shell(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    process = subprocess.Popen(
        command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        printed, errors = process.communicate(timeout=90)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        printed, errors = process.communicate()
        errors += "\nnot done after 90 seconds"
    return process.returncode, printed, errors


def _steps(body: str) -> Iterator[tuple[str, str]]:
    for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, output = step.partition("\n")
        yield command, output
