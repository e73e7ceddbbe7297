from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.monitor import stores
from tests.monitor.terminal import WORKFLOW, piped
from toil_core.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store in which `top` took 2 s, one `leaf` 1 s, and two attempts of leaves failed."""
    store = stores.begun(tmp_path / "s")
    stores.led(store)
    stores.committed(store)
    stores.folded(store, ended=True)
    return tmp_path / "s"


def shown(*arguments: str | Path) -> int:
    return main(["stats", *map(str, arguments)])


def test_a_person_reads_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder) == 0
    text = capsys.readouterr().out
    assert text.startswith("4 attempts, 2 succeeded, 2 failed\n\nwall time:\n")
    assert "leaf         3  0.00 s  0.00 s  0.33 s  1.00 s  1.00 s" in text
    assert "top          1  2.00 s  2.00 s  2.00 s  2.00 s  2.00 s" in text
    assert text.index("top  ") < text.index("leaf  "), "the kind that took most time comes first"
    assert "requested and used:" in text and "core-hours unused" in text


def test_programs_read_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    top, leaf = told["kinds"]
    assert (top["name"], top["attempts"], leaf["attempts"], leaf["done"], leaf["failed"]) == ("top", 1, 3, 1, 2)
    assert leaf["categories"]["clock"] == {"min": 0.0, "median": 0.0, "mean": pytest.approx(0.5 / 3), "max": 0.5, "total": 0.5}
    assert leaf["categories"]["memory"]["max"] == 9 << 20
    assert top["shares"]["cores"] == {"requested": 1.0, "used": 0.5, "wasted": pytest.approx(1.0 / 3600)}
    assert told["all"]["categories"]["time"]["total"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ([], "top"),
        (["--sortReverse"], "leaf"),
        (["--sort", "ascending"], "leaf"),
        (["--sortCategory", "memory", "--sortField", "max"], "leaf"),
        (["--sort-category", "clock", "--sort-field", "med"], "top"),
    ],
)
def test_kinds_are_sorted_as_asked(arguments: list[str], first: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, "--csv", *arguments) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert lines[0]["name"] == first and len(lines) == 2


def test_every_attempt_is_given_raw(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, "--raw") == 0
    attempts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["job"], each["outcome"]) for each in attempts] == [
        ("0.0", "done"), ("1-1.0.0", "done"), ("1-1.0.1", "over time"), ("1-1.0.2", "over time"),
    ]  # fmt: skip
    assert shown(folder, "--raw", "--csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["job"] for line in lines] == [each["job"] for each in attempts] and lines[1]["child_of"] == "0.0"


def test_some_categories_to_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, "--categories", "clock,disk", "--outputFile", tmp_path / "out", "--pretty") == 0
    assert capsys.readouterr().out == ""
    text = (tmp_path / "out").read_text()
    assert "CPU time:" in text and "\ndisk:" in text and "wall time" not in text and "peak memory:" not in text


@pytest.mark.parametrize("arguments", [["--categories", "clock,nonsense"], ["--output-file", "/nonexistent/x"]])
def test_what_cannot_be_is_said_in_a_line(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, *arguments) == 2
    assert capsys.readouterr().err.startswith("toil: error: --")


def test_before_anything_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.begun(tmp_path / "s")
    assert shown(tmp_path / "s") == 0
    assert "no attempt at a job" in capsys.readouterr().out
    assert shown(tmp_path / "s", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"kinds": [], "all": None}
    assert shown(tmp_path / "none") == 2


def test_a_run_with_stats_keeps_its_store_and_writes_its_events(tmp_path: Path) -> None:
    ran = piped("run", WORKFLOW, "s", "--jobs", "2", "--stats", "--writeMessages", "events", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(piped("stats", "s", "--json", cwd=tmp_path).stdout)
    assert {kind["name"]: kind["done"] for kind in told["kinds"]} == {"top": 1, "leaf": 2}
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert events[0]["event"] == "RunStarted" and events[-1]["event"] == "RunEnded" and events[-1]["outcome"] == "succeeded"
    assert sorted(event["job"] for event in events if event["event"] == "JobDone") == sorted(["0.0", "1-1.0.0", "1-1.0.1"])


def test_a_file_that_cannot_take_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stores.begun(tmp_path / "s")
    assert main(["stats", str(tmp_path / "s"), "--output-file", "/dev/full"]) == 1
    assert capsys.readouterr().err == "toil: error: --output-file /dev/full cannot be written: No space left on device\n"
