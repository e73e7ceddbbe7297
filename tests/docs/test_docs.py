from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Console, consoles, run
from toil_core import hookspecs
from toil_core.testing.needs import need
from tools.generate_docs import pages

CONSOLES = [console for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) for console in consoles(page)]
HOOKS = [(name, function) for name, function in vars(hookspecs).items() if name.startswith("toil_")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("console", CONSOLES, ids=lambda console: f"{console.page}: {console.steps[0][0]}")
def test_what_is_shown_works(console: Console, tmp_path: Path) -> None:
    run(console, tmp_path)


def test_a_console_block_that_prints_something_else_is_found(tmp_path: Path) -> None:
    run(Console("page", {}, (("echo one two", "one ..."),)), tmp_path)
    with pytest.raises(AssertionError, match="one"):
        run(Console("page", {}, (("echo one", "two"),)), tmp_path)
    with pytest.raises(AssertionError, match="page: false"):
        run(Console("page", {}, (("false", ""),)), tmp_path)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text() == pages()[path], "write them anew: python tools/generate_docs.py"


@pytest.mark.parametrize(("name", "function"), HOOKS, ids=[name for name, _ in HOOKS])
def test_each_hook_is_documented_with_its_arguments(name: str, function: object) -> None:
    arguments = ", ".join(inspect.signature(function).parameters)  # type: ignore[arg-type]
    assert f"`{name}({arguments})`" in (ROOT / "docs" / "plugins.md").read_text()


def test_the_readme_begins_with_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in (ROOT / "README.md").read_text().splitlines()[1:3]] == ["$ make demo", "$ make test"]


@pytest.mark.filterwarnings("default")
def test_the_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "plugins" / "index.html").exists()


def test_the_changelog_can_be_built() -> None:
    towncrier = shutil.which("towncrier", path=str(Path(sys.executable).parent))
    need("" if towncrier else "towncrier is not installed")
    assert towncrier
    done = subprocess.run([towncrier, "build", "--draft"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "### Added" in done.stdout
