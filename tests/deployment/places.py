"""Machines for tests: environments of their own, made without a network, and a leader's and a worker's place in them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

from packaging.requirements import Requirement

from tests.fake_plugins import add_plugin

ROOT = Path(__file__).parent.parent.parent


def build_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes], metadata: str = "", entry_points: str = "") -> Path:
    """A wheel with these files.

    Args:
        folder: Where to put it.
        name: The distribution's name.
        version: Its version.
        files: By path, what it installs.
        metadata: Further lines of its metadata.
        entry_points: Its entry points.
    """
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    every = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points.encode(),
    }
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for file, data in every.items():
            archive.writestr(file, data)
            record += f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def wheel_of_this_tree(folder: Path) -> Path:
    """The wheel of toil-core as this tree would build it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in sorted((ROOT / "toil_core").rglob("*.py"))}
    needs = "".join(f"Requires-Dist: {line}\n" for line in project["dependencies"])
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    entry_points = "\n".join(f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items()) for group, found in groups.items())
    return build_wheel(folder, "toil-core", distribution("toil-core").version, files, needs, entry_points)


def _needed() -> set[str]:
    """Names of the distributions that this tree's toil-core needs here."""
    wanted = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    seen: set[str] = set()
    while wanted:
        need = Requirement(wanted.pop())
        if need.name not in seen and (need.marker is None or need.marker.evaluate({"extra": ""})):
            seen.add(need.name)
            wanted += distribution(need.name).requires or ()
    return seen


def make_environment(folder: Path, wheel: Path, *, pip: bool = False) -> Path:
    """A virtual environment with the wheel of toil-core, and what that needs taken from the one that runs the tests.

    Returns:
        Its Python.
    """
    shared = pip and find_spec("pip") is not None  # to bring one of its own takes seconds
    venv.EnvBuilder(symlinks=True, with_pip=pip and not shared).create(folder)
    packages = site_packages(folder)
    for name in [*_needed(), *(["pip"] if shared else [])]:
        found = distribution(name)
        tops = {path.parts[0] for path in found.files or () if not path.parts[0].startswith("..") and path.parts[0] != "__pycache__"}
        for top in tops:
            (packages / top).symlink_to(Path(str(found.locate_file(top))))
    install(packages, wheel)
    return folder / "bin" / "python"


def site_packages(environment: Path) -> Path:
    """Where an environment's packages lie."""
    return environment / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)


def install(packages: Path, wheel: Path) -> None:
    """Put a wheel into an environment, as an installer does."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files below the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


@dataclass(frozen=True)
class Places:
    """Where the leader runs, and where the workers do.

    Args:
        leader: The leader's Python.
        worker: The workers' Python.
        project: The user's folder; only the leader knows of it.
        there: The folder that workers start in; it is empty.
        tmp: The workers' folder for temporary files.
        plugins: Where the batch system of the tests is installed for the leader.
    """

    leader: Path
    worker: Path
    project: Path
    there: Path
    tmp: Path
    plugins: Path

    @staticmethod
    def make(folder: Path, leader: Path, worker: Path) -> Places:
        """New places below the folder."""
        places = Places(leader, worker, *(folder / name for name in ("project", "there", "tmp", "plugins")))
        for made in (places.project, places.there, places.tmp, places.plugins):
            made.mkdir()
        source = (ROOT / "tests" / "deployment" / "elsewhere.py").read_text()
        packages = places.plugins / "site-packages"
        packages.mkdir()
        entry_points = {"toil.batch_system": {"elsewhere": "toil_elsewhere:Elsewhere"}}
        add_plugin(packages, "toil-elsewhere", entry_points, {"toil_elsewhere": source})
        return places

    def run(self, *arguments: str, path: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the leader in the project's folder, with the workers elsewhere.

        Args:
            arguments: The script or module, its locator, and options.
            path: Further folders that the workers find programs in.
            variables: Further variables for the leader.
        """
        return subprocess.run(
            [str(self.leader), *arguments], cwd=self.project, env=self._variables(path, variables), capture_output=True, text=True, timeout=100, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the leader in the project's folder, with the workers elsewhere."""
        command = [str(self.leader), *arguments]
        return subprocess.Popen(command, cwd=self.project, env=self._variables("", {}), stdout=subprocess.PIPE, text=True)

    def _variables(self, path: str, variables: dict[str, str]) -> dict[str, str]:
        seen_by_workers = {"TMPDIR": str(self.tmp), "PATH": path, "HOME": str(self.there), "PYTHONWARNINGS": "", "UV_OFFLINE": "1"}
        elsewhere = {"python": str(self.worker), "folder": str(self.there), "environment": seen_by_workers}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(self.plugins / "site-packages"), variables.pop("PYTHONPATH", "")]).rstrip(os.pathsep),
            "HOME": str(self.project.parent),
            "XDG_CONFIG_HOME": str(self.there),
            "ELSEWHERE": json.dumps(elsewhere),
            "TOIL_BATCH_SYSTEM": "elsewhere",
            "TOIL_DISABLE_PROGRESS": "true",
            **variables,
        }
