"""Deleting this plugin's folder deletes the feature, and the rest stays green."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

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
