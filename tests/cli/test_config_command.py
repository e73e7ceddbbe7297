from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from toil_core.cli import main
from toil_core.cli.config import template
from toil_core.leader.options import EngineOptions
from toil_core.option_parser import config_from
from toil_core.options import Config
from toil_core.plugins import option_groups


def test_the_template_sets_nothing() -> None:
    assert all(table == {} for table in tomllib.loads(template(option_groups())).values())


def test_with_every_option_uncommented_it_says_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(re.sub(r"^# ([a-z-]+ = )", r"\1", template(option_groups()), flags=re.MULTILINE))
    assert tomllib.loads(file.read_text())["engine"]["default-memory"] == "2 GiB"
    config = config_from(environ={"TOIL_CONFIG": str(file)})
    for group in option_groups():
        assert config[group.type] == Config()[group.type]


def test_every_option_has_a_line_of_help_and_its_variable() -> None:
    assert "\n# How often a failed job is tried again. Flag: --retry-count. Environment: TOIL_RETRY_COUNT.\n# retry-count = 1\n" in template(
        option_groups()
    )


def test_a_file_is_written_and_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "config.toml"
    assert main(["config", str(file)]) == 0
    assert capsys.readouterr().out == f"wrote {file}\n"
    file.write_text("[engine]\nretry-count = 4\n")
    assert main(["config", str(file)]) == 2
    assert capsys.readouterr().err == f"toil: error: {file} exists already; --force replaces it\n"
    assert config_from(environ={"TOIL_CONFIG": str(file)})[EngineOptions].retry_count == 4
    assert main(["config", str(file), "--force"]) == 0
    assert "# retry-count = 1" in file.read_text()


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_without_a_file_it_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", *arguments]) == 0
    assert capsys.readouterr().out == template(option_groups())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["config", str(tmp_path / "file" / "config.toml")]) == 2
    assert "cannot be written" in capsys.readouterr().err
