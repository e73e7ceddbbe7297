from __future__ import annotations

import json
import re
import subprocess
from io import BytesIO
from pathlib import Path

import pytest

from tests.monitor.stores import begun, committed, led, opened
from tests.monitor.terminal import TOIL, environment
from toil_core.cli import main
from toil_core.job_store import JobStore
from toil_core.wire import keys


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    store.write(keys.log("1-1.0.1", "1-10"), BytesIO(b"second \xff attempt, no newline"))
    return store


def logs(tmp_path: Path, *arguments: str) -> int:
    return main(["logs", str(tmp_path / "s"), *arguments])


def test_without_a_job_logs_are_listed(store: JobStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert logs(tmp_path) == 0
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head[:4] == ["job", "id", "attempt", "size"]
    assert [row[:3] for row in rows] == [["leaf", "1-1.0.1", "1"], ["leaf", "1-1.0.1", "2"], ["leaf", "1-1.0.2", "1"]]
    assert [row[-1] for row in rows] == ["time", "-", "time"]


def test_the_newest_attempts_log_is_printed_as_it_is(store: JobStore, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert logs(tmp_path, "1-1.0.1") == 0
    assert capfdbinary.readouterr().out == b"second \xff attempt, no newline"


@pytest.mark.parametrize(
    ("attempt", "shown"),
    [
        ("1", b"log of 1-1.0.1\n"),
        ("1-3", b"log of 1-1.0.1\n"),
        ("2", b"second \xff attempt, no newline"),
        ("all", b"==> attempt 1 of 1-1.0.1 (request 1-3) <==\nlog of 1-1.0.1\n==> attempt 2 of 1-1.0.1 (request 1-10) <==\nsecond \xff attempt, no newline"),
    ],
)
def test_any_attempt_can_be_asked_for(
    attempt: str, shown: bytes, store: JobStore, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert logs(tmp_path, "1-1.0.1", "--attempt", attempt) == 0
    assert capfdbinary.readouterr().out == shown


@pytest.fixture
def twice(tmp_path: Path) -> tuple[str, str]:
    """A store in which request 1-4 ran twice; the executions, first the one that counts."""
    store = begun(tmp_path / "s")
    led(store)
    committed(store, executions={"1-4": "1-4.c0ffee00"})
    store.write(keys.log("1-1.0.2", "1-4.0badf00d"), BytesIO(b"the loser's\n"))
    return "1-4.c0ffee00", "1-4.0badf00d"


def test_of_two_executions_of_a_request_the_one_that_counts_is_shown(
    twice: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    winner, loser = twice
    for more in ([], ["--attempt", "1"], ["--attempt", "1-4"]):
        assert logs(tmp_path, "1-1.0.2", *more) == 0
        told = capfd.readouterr()
        assert told.out == "log of 1-1.0.2\n"
        assert told.err == (
            "attempt 1 of 1-1.0.2 ran more than once; this is the log of the execution that counts "
            f"(--attempt {loser} or all shows others)\n"
        )
    assert logs(tmp_path, "1-1.0.2", "--attempt", loser) == 0
    assert capfd.readouterr() == ("the loser's\n", "")
    assert logs(tmp_path, "1-1.0.2", "--attempt", winner) == 0
    assert capfd.readouterr() == ("log of 1-1.0.2\n", "")
    assert logs(tmp_path, "1-1.0.2", "--attempt", "all") == 0
    heads = [line for line in capfd.readouterr().out.splitlines() if line.startswith("==>")]
    assert heads == [f"==> attempt 1 of 1-1.0.2 ({loser}, which does not count) <==", "==> attempt 1 of 1-1.0.2 (request 1-4) <=="]


def test_lists_tell_of_executions_that_do_not_count(twice: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    winner, loser = twice
    assert logs(tmp_path) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "1-1.0.2" in line]
    assert [row[2:5] for row in rows] == [["1", "as", loser], ["1", *rows[1][3:5]]]
    assert [row[-1] for row in rows] == ["count", "time"]
    assert logs(tmp_path, "1-1.0.2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(log["execution"], log["request"], log["attempt"], log["counts"]) for log in told] == [(loser, "1-4", 1, False), (winner, "1-4", 1, True)]
    assert [log["text"] for log in told] == ["the loser's\n", "log of 1-1.0.2\n"]
    assert logs(tmp_path, "--json", "1-1.0.2") == 0
    assert json.loads(capsys.readouterr().out) == told


def test_when_it_cannot_be_known_which_execution_counts_that_is_said(
    twice: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path / "s").write(keys.commit("1-4", 0), BytesIO(b"damaged"))
    assert logs(tmp_path, "1-1.0.2") == 0
    told = capfd.readouterr()
    assert told.out == "the loser's\n"
    assert "ran more than once; it is not known which counts, this is the log of 1-4.0badf00d (--attempt 1-4.c0ffee00 or all shows others)" in told.err


def test_a_name_will_do_when_one_job_with_a_log_has_it(store: JobStore, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert logs(tmp_path, "leaf") == 2
    assert b"named 'leaf'; say which one by its id: 1-1.0.1, 1-1.0.2\n" in capfdbinary.readouterr().err
    store.delete([keys.log("1-1.0.1", "1-3"), keys.log("1-1.0.1", "1-10")])
    assert logs(tmp_path, "leaf") == 0
    assert capfdbinary.readouterr().out == b"log of 1-1.0.2\n"


def test_a_job_without_a_log_says_why_it_failed(store: JobStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.delete([keys.log("1-1.0.2", "1-4")])
    assert logs(tmp_path, "1-1.0.2") == 0
    assert capsys.readouterr().err == "1-1.0.2 left no log; its last attempt: over time: ran for 9 s\n"
    assert logs(tmp_path, "1-1.0.3") == 0
    assert capsys.readouterr().err == "1-1.0.3 left no log so far\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["leav"], "no log is kept of a job 'leav' in .*; did you mean leaf?"),
        (["zzzzzz"], "`toil logs .*` lists those that are"),
        (["1-1.0.1", "--attempt", "7"], "has no log of an attempt '7'; write `all`, or one of 1, 2"),
        (["--attempt", "1"], "--attempt needs a JOB"),
    ],
)
def test_unknown_jobs_and_attempts(arguments: list[str], says: str, store: JobStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert logs(tmp_path, *arguments) == 2
    assert re.fullmatch(f"toil: error: .*{says.replace('?', '[?]')}.*\n", capsys.readouterr().err)


def test_no_logs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun(tmp_path / "s")
    assert logs(tmp_path) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("no logs: ")


def test_logs_can_be_read_when_the_graph_cannot(store: JobStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.write(keys.commit(keys.ROOT, 0), BytesIO(b"damaged"))
    assert logs(tmp_path) == 0
    assert "1-1.0.2" in capsys.readouterr().out


def test_a_large_log_needs_little_memory_and_a_reader_may_leave(store: JobStore, tmp_path: Path) -> None:
    line = b"x" * 1023 + b"\n"
    store.write(keys.log("1-1.0.3", "1-11"), BytesIO(line * 100 * 1024))
    limit = 'import resource, sys\nfrom toil_core.cli import main\nresource.setrlimit(resource.RLIMIT_DATA, (90 << 20,) * 2)\nsys.exit(main())'
    command = [TOIL[0], "-c", limit, "logs", str(tmp_path / "s"), "1-1.0.3"]
    whole = subprocess.run(command, capture_output=True, env=environment(), timeout=200, check=True)
    assert len(whole.stdout) == 100 << 20
    left = subprocess.run(["sh", "-c", '"$@" | head -c 5', "sh", *command], capture_output=True, env=environment(), timeout=200, check=True)
    assert (left.stdout, left.stderr) == (b"xxxxx", b"")
