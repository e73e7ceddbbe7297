"""`toil doctor` about this machine and its job stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toil_core import plugins
from toil_core.checks import Check
from toil_core.cli import main
from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.options import Config


def test_a_machine_that_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--work-dir", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"ok       temporary files: {tmp_path}" in printed
    assert "ok       python: " in printed and "ok       clock: " in printed and "are free for" in printed


def test_a_folder_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--work-dir", str(tmp_path / "absent")]) == 1
    printed = capsys.readouterr().out
    assert f"ERROR    temporary files: {tmp_path / 'absent'} cannot be written: No such file or directory" in printed
    assert "-> give another folder with --work-dir" in printed


def test_job_stores(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    with FileJobStore(str(tmp_path / "store"), Config()) as store:
        store.prepare()
        main(["doctor", "--json", str(tmp_path / "store"), str(tmp_path / "absent"), "no-such:driver"])
        found = {check["name"]: check for check in map(json.loads, capsys.readouterr().out.splitlines())}
        assert "it holds no workflow; it does what it must" in found[f"job store {tmp_path / 'store'}"]["found"]
        assert "nothing is there yet" in found[f"job store {tmp_path / 'absent'}"]["found"]
        assert found["job store no-such:driver"]["state"] == "error"
        assert list(store.list()) == []
    assert not (tmp_path / "absent").exists()


def test_a_store_that_breaks_its_promise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Careless(MemoryJobStore):
        def create(self, key: str, data: bytes) -> None:
            self._blobs.put(key, data, replace=True)

    monkeypatch.setattr(plugins, "open_job_store", lambda locator, config: Careless("careless", config))
    assert main(["doctor", "memory:careless"]) == 1
    assert "it lets two writers create the same key" in capsys.readouterr().out


def test_plugins_add_checks_and_cannot_break_those_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    class Good:
        @plugins.hookimpl
        def toil_checks(self, config: Config) -> list[Check]:
            return [Check("coffee", "warning", "the pot is empty", "make some")]

    class Bad:
        @plugins.hookimpl
        def toil_checks(self) -> list[Check]:
            raise RuntimeError("broken")

    manager = plugins.hooks()
    added = [Bad(), Good()]
    for plugin in added:
        manager.register(plugin)
    try:
        assert main(["doctor"]) == 1
    finally:
        for plugin in added:
            manager.unregister(plugin)
    printed = capsys.readouterr().out
    assert "warning  coffee: the pot is empty\n         -> make some" in printed
    assert "its checks failed: RuntimeError: broken" in printed
