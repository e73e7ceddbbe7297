from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import pytest

from tests.monitor.terminal import TOIL, WORKFLOW, Terminal, environment, piped
from toil_core.batch_system import Reason, Usage
from toil_core.errors import BadOption
from toil_core.events import AttemptFailed, Event, JobDone, JobMessage, JobsAdded, JobStarted, RunEnded, RunStarted
from toil_core.leader.options import EngineOptions
from toil_core.monitor import progress
from toil_core.monitor.logging import logged
from toil_core.monitor.progress import TAILS, Progress, watching
from toil_core.options import Config

START = RunStarted(100.0, "0123456789abcdef", "file:/a b", 1, False, 1, 0, {"top": (1, 0)})


def failure(time: float, job: str, *, final: bool, tail: str = "", log: str = "", delay: float = 0.0) -> AttemptFailed:
    return AttemptFailed(time, job, "leaf", Reason.OUT_OF_MEMORY, "used too much", log, tail, final, 0 if final else 1, delay, Usage(cpu=1.0))


def told(events: list[Event], **options: object) -> str:
    stream = io.StringIO()
    with redirect_stderr(stream), watching(Config([EngineOptions(**options)])) as listener:  # type: ignore[arg-type]
        for event in events:
            listener(event)
    return re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", stream.getvalue())


def test_start_and_end_are_lines() -> None:
    done = JobDone(101.0, "0.0", "top", Usage(cpu=1.5, memory=3 << 20))
    assert told([START, done, RunEnded(102.5, "succeeded", 1, 0, 1)]) == (
        "workflow 01234567 on file:/a b: started\n"
        "workflow 01234567 on file:/a b: succeeded; 1 of 1 job done in 2.50 s, 1.50 CPU seconds; most memory: 3.0 MiB for top\n"
    )


def test_a_restart_says_what_is_done_already() -> None:
    again = RunStarted(100.0, "0123456789abcdef", "file:/a", 2, True, 1200, 1000, {"leaf": (1200, 1000)})
    assert told([again]) == "workflow 01234567 on file:/a: goes on; 1,000 of 1,200 jobs done\n"


def test_a_failed_attempt_says_which_why_what_next_and_where_the_log_is() -> None:
    shown = told([START, failure(101, "1-1.0", final=False, tail="first\n\x1b[31mlast\x1b[0m", log="logs/1-1.0/1-2", delay=2.0), failure(101, "1-1.1", final=True)])
    assert shown.endswith(
        "WARNING leaf 1-1.0: out of memory: used too much; it is tried again in 2.00 s (1 try left)\n"
        "  | first\n"
        "  | last\n"
        "  its whole log: toil logs 'file:/a b' 1-1.0\n"
        "ERROR leaf 1-1.1: out of memory: used too much; it is not tried again\n"
    )


def test_what_runs_again_in_its_place_is_told() -> None:
    below = replace(failure(101, "1-1.0", final=False, delay=2.0), instead="whole")
    assert told([START, below]).endswith("WARNING leaf 1-1.0: out of memory: used too much; whole above it runs again in 2.00 s (1 try left)\n")


def test_every_failure_is_told_but_only_the_first_ones_with_the_end_of_their_logs() -> None:
    shown = told([START, *(failure(101, f"1-1.{n}", final=True, tail="the end") for n in range(TAILS + 30))])
    assert shown.count("it is not tried again") == TAILS + 30
    assert shown.count("| the end") == TAILS


def test_lines_of_progress_come_ever_more_rarely() -> None:
    events: list[Event] = [JobDone(100.0 + second / 10, f"1-1.{second}", "leaf", Usage()) for second in range(36_000)]
    lines = [line for line in told([START, JobsAdded(100.0, {"leaf": 36_000}), *events]).splitlines() if "running" in line]
    assert lines[0] == "20 of 36,001 jobs done, 0 running"
    assert 3600 / progress.LONGEST_WAIT < len(lines) < 3600 / progress.LONGEST_WAIT + 15


def test_jobs_one_after_another_are_told_as_running() -> None:
    events: list[Event] = []
    for number in range(60):
        events += [JobStarted(100.0 + number, f"1-1.{number}", "leaf", f"1-{number}", "here"), JobDone(101.0 + number, f"1-1.{number}", "leaf", Usage())]
    lines = [line for line in told([START, JobsAdded(100.0, {"leaf": 60}), *events]).splitlines() if "running" in line]
    assert len(lines) > 3
    assert all(line.endswith(" 1 running") for line in lines), lines


def test_the_total_grows_and_jobs_are_counted_once() -> None:
    counts = Progress()
    for event in (
        START,
        JobStarted(100, "0.0", "top", "1-1", "here"),
        JobsAdded(101, {"leaf": 2}),
        JobDone(101, "0.0", "top", Usage()),
        JobStarted(101, "1-1.0", "leaf", "1-2", "here"),
        JobStarted(101, "1-1.0", "leaf", "1-3", "here"),
        JobDone(102, "1-1.1", "leaf", Usage()),
    ):
        counts(event)
    leaf = counts.kinds["leaf"]
    assert (counts.total, counts.done, counts.running, counts.failed) == (3, 2, 1, 0)
    assert (leaf.total, leaf.done, leaf.running) == (2, 1, 1)
    counts(failure(103, "1-1.0", final=True))
    assert (counts.running, counts.failed, leaf.running, leaf.failed) == (0, 1, 0, 1)


def test_messages_of_jobs_have_their_level() -> None:
    events: list[Event] = [JobMessage(1.0, "1-1.0", "leaf", logging.INFO, "hello"), JobMessage(1.0, "1-1.0", "leaf", logging.DEBUG, "details")]
    assert told(events) == "leaf 1-1.0: hello\n"
    assert told(events, log_level="DEBUG").endswith("DEBUG leaf 1-1.0: details\n")


@pytest.mark.parametrize(("level", "shown"), [("WARNING", 2), ("ERROR", 1), ("OFF", 0)])
def test_the_log_level_holds_for_lines(level: str, shown: int) -> None:
    events = [START, failure(101, "1-1.0", final=False), failure(102, "1-1.0", final=True)]
    assert len(told([*events], log_level=level).splitlines()) == shown


def test_the_log_file_has_everything_too(tmp_path: Path) -> None:
    shown = told([START, failure(101, "1-1.0", final=True)], log_file=str(tmp_path / "log"))
    written = (tmp_path / "log").read_text()
    assert "INFO toil.run: workflow 01234567" in written
    assert "ERROR toil.run: leaf 1-1.0: out of memory" in written
    assert len(written.splitlines()) == len(shown.splitlines())


def test_a_log_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"log file {tmp_path} cannot be written"), watching(Config([EngineOptions(log_file=str(tmp_path))])):
        pass


def test_logging_is_as_before_afterwards_and_set_up_once() -> None:
    logger = logging.getLogger("toil")
    before = logger.level, logger.propagate, list(logger.handlers)
    with logged(Config()) as outer, logged(Config([EngineOptions(log_level="DEBUG")])) as inner:
        assert outer is inner
        assert len(logger.handlers) == len(before[2]) + 1
    assert (logger.level, logger.propagate, logger.handlers) == before


def test_a_stream_that_is_gone_does_not_stop_the_run() -> None:
    stream = io.StringIO()
    with redirect_stderr(stream), watching(Config()) as listener:
        stream.close()
        listener(START)
        listener(RunEnded(102, "succeeded", 1, 0, 1))


def test_a_pipe_gets_plain_lines_and_standard_output_stays_the_scripts(tmp_path: Path) -> None:
    ended = piped("run", WORKFLOW, "store", "--jobs", "2", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["[", "0,", "1", "]"]
    assert "\x1b" not in ended.stderr
    assert re.search(r"succeeded; 3 of 3 jobs done in ", ended.stderr)


def test_a_terminal_gets_a_display_with_counts_by_name(tmp_path: Path) -> None:
    command: list[str | Path] = [*TOIL, "run", WORKFLOW, "store", "--jobs", "4", "--fail", "--retry-backoff-seconds", "0.01"]
    terminal = Terminal(command, tmp_path, out=tmp_path / "out")
    assert terminal.end() == 1
    assert re.search(r"job +done +running +failed", terminal.text)
    assert re.search(r"leaf +3/4 .* 1\n", terminal.text)
    assert re.search(r"all +4/5 .* 1\n", terminal.text)
    assert "ERROR leaf 1-1.0.1: failed: ValueError: one is bad; it is not tried again\n" in terminal.text
    assert "\x1b[31m" in terminal.seen
    assert terminal.seen.count("\x1b[?25l") == terminal.seen.count("\x1b[?25h") == 1, "the cursor must come back"
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize("plain", [{"TERM": "dumb"}, {"disable": "1"}])
def test_a_terminal_that_cannot_or_must_not_be_redrawn_gets_lines(plain: dict[str, str], tmp_path: Path) -> None:
    flags = ["--disable-progress"] if plain.pop("disable", "") else []
    terminal = Terminal([*TOIL, "run", WORKFLOW, "store", *flags], tmp_path, variables=plain)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.seen
    assert "succeeded; 4 of 4 jobs done" in terminal.text


def test_no_color_means_none(tmp_path: Path) -> None:
    terminal = Terminal([*TOIL, "run", WORKFLOW, "store", "--fail", "--retry-count", "0"], tmp_path, variables={"NO_COLOR": "1"})
    assert terminal.end() == 1
    assert re.search(r"leaf +2/3", terminal.text)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.seen)


def test_rich_is_not_imported_without_a_terminal(tmp_path: Path) -> None:
    script = "import sys\nfrom toil_core.monitor.progress import watching\nfrom toil_core.options import Config\n"
    script += "with watching(Config()): print('rich' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=environment(), check=True)
    assert ended.stdout == "False\n"
