"""What each command refuses: one line, exit code 2, nothing on standard output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import Clusters
from tests.monitor import stores
from toil_core.cli import main

OF_STORES = ("status", "why", "logs", "stats", "kill", "report", "debug-job", "dashboard")
BAD_LOCATORS = {
    "": "the job store's locator is empty",
    "nope": "there is no job store at nope",
    "zork:x": "there is no job store named 'zork'",
    "file:": "names no folder",
    "a\0b": "names no folder",
    "file:\udcff": "has a name that is no UTF-8",
}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The line with which a command refuses."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1), shown
    return shown.err


@pytest.mark.parametrize("command", OF_STORES)
def test_a_locator_that_cannot_be_used(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    more = ["job"] if command == "debug-job" else []
    for locator, says in BAD_LOCATORS.items():
        assert says in refused(capsys, command, locator, *more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["why", "STORE", ""], "there is no job ''"),
        (["kill", "STORE", "--timeout", "x"], "--timeout: 'x' is not a duration"),
        (["dashboard", "STORE", "--port", "x"], "--port: 'x' is no port"),
        (["dashboard", "STORE", "--port", "99999"], "--port: '99999' is no port"),
        (["stats", "STORE", "--csv", "--json"], "--json: not allowed with argument --csv"),
        (["plugins", "--json=1"], "--json: it takes no value, and was given '1'"),
        (["status", "STORE", "--config"], "--config: expected one argument"),
    ],
)
def test_an_argument_that_cannot_be_used(arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.begun(tmp_path / "s")
    assert says in refused(capsys, *(str(tmp_path / "s") if word == "STORE" else word for word in arguments))


def test_a_place_where_a_run_would_make_no_store_is_an_error_for_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("foreign", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "foreign" / "file").touch()
    places = {"foreign": "holds other things", "foreign/file": "a file in the way", "no/folder": "there is no folder", "empty": "nothing is there yet", "new": "nothing is there yet"}
    assert main(["doctor", "--json", *(str(tmp_path / place) for place in places)]) == 1
    found = [check for check in map(json.loads, capsys.readouterr().out.splitlines()) if check["name"].startswith("job store")]
    assert [check["state"] for check in found] == ["error"] * 3 + ["ok"] * 2
    assert all(says in check["found"] for check, says in zip(found, places.values(), strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "foreign"]


def test_a_cluster_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    clusters = Clusters(tmp_path, "off")
    for words in (("scale-cluster", "nope", "-w", "1"), ("attach", "nope"), ("submit", "nope", "x.py"), ("ssh-cluster", "nope", "true")):
        assert "there is nothing of a cluster nope" in clusters.toil(words[0], "-p", "local", *words[1:], code=2).stderr
    assert "there is nothing of a cluster nope" in clusters.toil("destroy-cluster", "nope", "-p", "local", code=2).stderr


@pytest.mark.parametrize("arguments", [("report", "file:store", "-o", ""), ("config", ""), ("config", "", "--force", "--json")])
def test_an_empty_name_of_a_file_to_write(arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the name of a file is wanted, not an empty text" in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []
