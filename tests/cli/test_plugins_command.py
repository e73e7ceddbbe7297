from __future__ import annotations

import json
from pathlib import Path

from tests.fake_plugins import add_plugin, run_python
from toil_core import __version__


def test_the_table_shows_what_is_offered_and_what_does_not_load(tmp_path: Path) -> None:
    add_plugin(tmp_path, "toil-bad", {"toil.job_store": {"bad": "no_such_module:Store"}}, {})
    done = run_python(tmp_path, "plugins")
    assert done.returncode == 1
    shown = " ".join(done.stdout.replace("│", " ").split())
    assert f"toil-core {__version__}" in shown
    assert "toil-bad 1.5 job store bad" in shown
    assert "no_such_module" in shown


def test_json_for_programs(tmp_path: Path) -> None:
    core = next(one for one in json.loads(run_python(tmp_path, "plugins", "--json").stdout) if one["distribution"] == "toil-core")
    offers = {(offer["kind"], offer["name"]) for offer in core["offers"]}
    assert {("job_store", "file"), ("batch_system", "single_machine"), ("options", "engine"), ("command", "plugins")} <= offers
    assert [offer for offer in core["offers"] if offer["error"]] == []


def test_a_disabled_plugin_is_shown_as_such(tmp_path: Path) -> None:
    add_plugin(tmp_path, "toil-off", {"toil": {"off": "no_such_module"}}, {})
    done = run_python(tmp_path, "plugins", TOIL_DISABLE_PLUGINS="off")
    assert "disabled by TOIL_DISABLE_PLUGINS" in done.stdout
    assert done.stderr == ""


def test_a_bad_config_file_does_not_hide_the_plugins(tmp_path: Path) -> None:
    (tmp_path / "toil").mkdir()
    (tmp_path / "toil" / "config.toml").write_text("nonsense")
    assert "toil-core" in run_python(tmp_path, "plugins").stdout
