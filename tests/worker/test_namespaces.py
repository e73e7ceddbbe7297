"""Packages without `__init__.py`: what was deployed is found, whatever is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_plugins import run_python

LOAD = """
    import sys
    {before}
    from toil_core.worker.modules import load
    from toil_core.wire.work import Code, Setup
    load(Setup(module="ns.mine", path=({deployed!r},), runner="builtins:print", code=Code("x", "", (), ("ns",))))
    import ns.mine
    print(ns.mine.VERSION)
    {after}
"""


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    (tmp_path / "deployed" / "ns").mkdir(parents=True)
    (tmp_path / "deployed" / "ns" / "mine.py").write_text("VERSION = 2")
    (tmp_path / "ns").mkdir()
    (tmp_path / "ns" / "mine.py").write_text("VERSION = 1")
    (tmp_path / "ns" / "other.py").write_text("VERSION = 1")
    return tmp_path / "deployed"


def printed(folder: Path, deployed: Path, before: str = "", after: str = "") -> str:
    done = run_python(folder, code=LOAD.format(deployed=str(deployed), before=before, after=after))
    assert not done.stderr
    return done.stdout


def test_a_namespace_that_is_installed_too(tmp_path: Path, deployed: Path) -> None:
    assert printed(tmp_path, deployed, after="import ns.other; print(ns.other.VERSION)") == "2\n1\n"


def test_a_namespace_that_is_imported_already(tmp_path: Path, deployed: Path) -> None:
    after = "print(sys.modules['ns.other'] is other); import ns.other"
    assert printed(tmp_path, deployed, "import ns.other as other", after) == "2\nTrue\n"


def test_a_namespace_that_a_pth_file_made(tmp_path: Path, deployed: Path) -> None:
    before = f"import types; sys.modules['ns'] = types.ModuleType('ns'); sys.modules['ns'].__path__ = [{str(tmp_path / 'ns')!r}]"
    assert printed(tmp_path, deployed, before, "import ns.other; print(ns.other.VERSION)") == "2\n1\n"


@pytest.mark.parametrize("before", ["", "import ns.mine"])
def test_an_ordinary_package_in_its_old_version(tmp_path: Path, deployed: Path, before: str) -> None:
    (tmp_path / "ns" / "__init__.py").write_text("")
    assert printed(tmp_path, deployed, before) == "2\n"
