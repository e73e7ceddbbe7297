"""What a workflow needs to have installed: is it here, and if not, install it into a folder of its own."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from toil_core.errors import CannotInstall
from toil_core.worker.procfs import MARK

_FRAME = " \t×╰─▶│├"
_OWN = ("toil_core", "toil_core-*.dist-info")


def missing(lines: Iterable[str]) -> list[str]:
    """Those requirements that what is installed here does not meet.

    Args:
        lines: Lines of a requirements file.
    """
    wanted = [line for line in lines if not line.startswith("-")]
    return [line for line in wanted if not _met(Requirement(re.sub(r"\s--hash[ =]\S+", "", line)), set())]


def _met(requirement: Requirement, seen: set[str]) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return True
    if str(requirement) in seen:
        return True
    seen.add(str(requirement))
    try:
        found = importlib.metadata.distribution(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    if requirement.url:
        return _origin(found) == requirement.url
    if not requirement.specifier.contains(found.version, prereleases=True):
        return False
    return all(_met(other, seen) for other in _of_extras(found, requirement.extras))


def _of_extras(found: importlib.metadata.Distribution, extras: Iterable[str]) -> Iterable[Requirement]:
    """What the extras of a distribution need beside the distribution itself."""
    needs = [Requirement(line) for line in found.requires or ()]
    for extra in extras:
        for need in needs:
            if need.marker is not None and not need.marker.evaluate({"extra": ""}) and need.marker.evaluate({"extra": extra}):
                need.marker = None
                yield need


def _origin(found: importlib.metadata.Distribution) -> str:
    """The URL that a distribution was installed from; empty when that was an index."""
    try:
        return str(json.loads(found.read_text("direct_url.json") or "{}").get("url", ""))
    except ValueError:
        return ""


def folder_name(lines: Sequence[str]) -> str:
    """Tells what these lines install for this Python from all else."""
    facts = "\n".join([*lines, sys.version, sysconfig.get_platform()])
    return f"packages-{hashlib.sha256(facts.encode()).hexdigest()}"


def pip_install(lines: Sequence[str], folder: Path, lock: int, mark: str) -> None:
    """Install what the lines ask for into the folder, with uv where there is one, else with pip.

    Args:
        lines: Lines of a requirements file.
        folder: Empty.
        lock: A file descriptor that stays open while the installer lives.
        mark: The folder of the host that the installer belongs to.

    Raises:
        CannotInstall: There is no installer, or it failed.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{line}\n" for line in lines))
    done = subprocess.run(
        [*_installer(lines), "--target", str(folder), "-r", str(wanted)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[lock],
        env={**os.environ, MARK: mark},
        cwd=folder,
        check=False,
    )
    if done.returncode:
        raise CannotInstall(f"cannot install what the workflow needs ({_shown(lines)}): {_last_words(done.stdout.decode(errors='replace'))}")
    wanted.unlink()
    for pattern in _OWN:  # another engine below this one would be none of its versions
        for path in folder.glob(pattern):
            shutil.rmtree(path)


def _installer(lines: Sequence[str]) -> list[str]:
    uv = shutil.which("uv")
    if uv or importlib.util.find_spec("uv"):
        return [*([uv] if uv else [sys.executable, "-m", "uv"]), "pip", "install", "--quiet", "--no-progress", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-warn-script-location", "--root-user-action=ignore"]
        return [sys.executable, "-m", "pip", "install", *quiet]
    raise CannotInstall(f"the workflow needs {_shown(lines)}, and {sys.executable} has neither uv nor pip; install one of them there, or what is missing")


def _shown(lines: Sequence[str]) -> str:
    names = [line for line in lines if not line.startswith("-")]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _last_words(output: str) -> str:
    """The line of an installer's output that says most."""
    lines = [" ".join(line.strip(_FRAME).split()) for line in output.splitlines() if line.strip(_FRAME)]
    errors = [number for number, line in enumerate(lines) if line.lower().startswith(("error", "no solution"))]
    return " ".join(lines[errors[-1] if errors else -1 :][:3]) or "it said nothing"
