from __future__ import annotations

import os
from pathlib import Path

import pytest

from toil_core.errors import BadLocator
from toil_core.locators import canonical_locator, driver_name, parse_locator, quoted


@pytest.mark.parametrize("path", ["/data/store", "./store", "../store", "store", "file:store", "file:./store", ".hidden:odd"])
def test_paths_are_the_file_store_made_absolute(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, rest = parse_locator(path)
    assert name == "file"
    assert rest == os.path.abspath(tmp_path / path.removeprefix("file:"))


def test_the_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_locator("~/store") == ("file", "/home/someone/store")
    assert parse_locator("file:~/store") == ("file", "/home/someone/store")


@pytest.mark.parametrize("url", ["file:///data/store", "file://localhost/data/store", "file:/data/store"])
def test_a_file_url_is_a_path(url: str) -> None:
    assert canonical_locator(url) == "file:/data/store"


def test_other_locators_are_the_drivers_to_read() -> None:
    assert parse_locator("cloud:some-region:name/with:colons") == ("cloud", "some-region:name/with:colons")
    assert parse_locator("memory:") == ("memory", "")


@pytest.mark.parametrize("locator", ["", "  ", ":rest", "file:", "file://other/data", "file:a\0b"])
def test_a_useless_locator_is_an_error(locator: str) -> None:
    with pytest.raises(BadLocator, match="locator"):
        parse_locator(locator)


@pytest.mark.parametrize("name", ["singleMachine", "single-machine", "single_machine", "SingleMachine", " single_machine "])
def test_classic_spellings_of_drivers_are_the_same_name(name: str) -> None:
    assert driver_name(name) == "single_machine"


def test_a_folder_whose_name_is_no_utf_8_is_refused() -> None:
    with pytest.raises(BadLocator, match="no UTF-8"):
        canonical_locator(os.fsdecode(b"/data/caf\xe9"))


def test_a_locator_in_a_command_is_one_word() -> None:
    assert quoted("file:/my data") == "'file:/my data'"
    assert quoted("file:/data") == "file:/data"
