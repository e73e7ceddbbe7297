"""The plugin that docs/plugins.md shows, built outside of the repository and installed into a fresh environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

BLOCK = re.compile(r"<!-- file: drivers/(.*?) -->\n```[a-z]*\n(.*?)```", re.DOTALL)
WORDS = re.compile(r"<!-- file: words.py -->\n```python\n(.*?)```", re.DOTALL)


def run(folder: Path, *command: str | Path) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("TOIL_", "PYTHONPATH", "COVERAGE", "COV_"))}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**variables, "XDG_CONFIG_HOME": str(folder)}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(600)
def test_what_a_reader_writes_works(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    for name, content in BLOCK.findall((ROOT / "docs" / "plugins.md").read_text()):
        (plugin / name).parent.mkdir(parents=True, exist_ok=True)
        (plugin / name).write_text(content)
    python = tmp_path / "fresh" / "bin" / "python"
    run(tmp_path, sys.executable, "-m", "venv", tmp_path / "fresh")
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT, plugin, "pytest")
    offers = json.loads(run(tmp_path, tmp_path / "fresh" / "bin" / "toil", "plugins", "--json"))
    found = {(offer["kind"], offer["name"], offer["error"]) for each in offers if each["distribution"] == "toil-example" for offer in each["offers"]}
    assert found == {("job_store", "sqlite", ""), ("batch_system", "in_turn", "")}
    said = run(plugin, python, "-m", "pytest", "-v", "-x", "-p", "no:cacheprovider", "tests")
    for passed in ("TestSqliteJobStore::test_only_the_first_create_wins PASSED", "TestInTurn::test_an_id_counts_once PASSED"):
        assert passed in said
    (tmp_path / "words.py").write_text(WORDS.findall((ROOT / "README.md").read_text())[0])
    (tmp_path / "voyage.txt").write_text("a ship and a sea\n" * 3)
    printed = run(tmp_path, python, "words.py", "sqlite:run.sqlite", "--batch-system", "in_turn", "--text", "voyage.txt", "--parts", "2")
    assert json.loads(printed) == {"a": 6, "ship": 3, "and": 3, "sea": 3}
    assert not (tmp_path / "run.sqlite").exists()
