"""Deleting this plugin's folder deletes the feature, and the rest stays green."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[4]
KEPT = ("toil_core", "tests", "tools", "docs", "examples", "benchmarks", "changelog.d", "plugins")
CHECKED = (
    "tests/test_plugins.py::test_an_unknown_driver_says_what_to_do",
    "tests/test_plugins.py::test_a_distribution_that_is_there_already_and_lacks_the_driver_is_not_to_be_installed_again",
    "tests/test_plugins.py::test_drivers_are_found_by_classic_spellings_too",
    "tests/test_plugins.py::test_a_url_is_opened_by_the_plugin_that_knows_its_scheme",
    "tests/test_plugins.py::test_an_unknown_scheme_says_what_to_do",
    "tests/test_locators.py",
    "tests/cli/test_plugins_command.py",
    "tests/test_architecture.py::test_nothing_outside_a_plugin_needs_it",
)
"""What could need this plugin; the other tests of plugins make their own, in many processes."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project without this plugin."""
    left_out = shutil.ignore_patterns("__pycache__", ".*", "build")
    for name in KEPT:
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=left_out)
    for path in ROOT.glob("*.*"):
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree" / "plugins" / "aws")
    return tmp_path / "tree"


@pytest.fixture
def python(tree: Path, tmp_path: Path) -> Path:
    """A Python that has what this one has, with the project of that tree, but for this plugin."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    target = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.startswith("_editable_impl_toil"):
            (target / path.name).write_text(path.read_text().replace(str(ROOT), str(tree)))
        elif not path.name.startswith("toil_aws"):
            (target / path.name).symlink_to(path)
    (target / "_editable_impl_toil_aws.pth").unlink(missing_ok=True)
    for program in ("toil", "toil-sim"):
        text = (Path(sys.executable).parent / program).read_text()
        (python.parent / program).write_text(f"#!{python}\n{text.partition(chr(10))[2]}")
        (python.parent / program).chmod(0o755)
    return python


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(300)
def test_the_rest_is_green_without_it(tree: Path, python: Path) -> None:
    assert "toil-core" in (said := run(python.parent / "toil", "plugins", folder=tree)) and "toil-aws" not in said
    missing = subprocess.run([python.parent / "toil", "status", "aws:us-west-2:x"], capture_output=True, text=True, cwd=tree, check=False)
    assert missing.returncode == 2 and "pip install" in missing.stderr
    where = "import toil_core, importlib.util; print(toil_core.__file__, importlib.util.find_spec('toil_aws'))"
    assert run(python, "-c", where, folder=tree).split() == [str(tree / "toil_core" / "__init__.py"), "None"]
    assert " passed" in run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKED, folder=tree)


def test_uv_still_locks_what_is_left(tree: Path, tmp_path: Path) -> None:
    """The workspace is whole without it; packages of others are stood in for, so that no index is asked."""
    root = tree / "pyproject.toml"
    without = re.sub(r"(?m)^(toil-)?aws = .*\n", "", root.read_text())  # the two lines that docs/architecture.md names
    root.write_text(without.replace('dynamic = ["version"]', 'version = "0.1.0"'))  # else uv builds it, by a backend from an index
    projects = [tomllib.loads(path.read_text())["project"] for path in (root, *tree.glob("plugins/*/pyproject.toml"))]
    (tmp_path / "wheels").mkdir()
    for project in projects:
        for lines in (project.get("dependencies", []), *project.get("optional-dependencies", {}).values()):
            for line in lines:
                stand_in(Requirement(line), tmp_path / "wheels")
    uv = Path(sys.executable).parent / "uv"
    run(uv, "lock", "--offline", "--no-index", "--find-links", tmp_path / "wheels", "--cache-dir", tmp_path / "cache", folder=tree)
    locked = {package["name"] for package in tomllib.loads((tree / "uv.lock").read_text())["package"]}
    assert {project["name"] for project in projects} <= locked and "toil-aws" not in locked


def stand_in(needed: Requirement, folder: Path) -> None:
    """Write a wheel without content that meets a requirement."""
    version = next((found.version for found in needed.specifier if found.operator == ">="), "1")
    name = f"{needed.name.replace('-', '_')}-{version}"
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in needed.extras)
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {needed.name}\nVersion: {version}\n{extras}")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
