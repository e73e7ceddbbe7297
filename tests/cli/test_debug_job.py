from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.monitor.terminal import TOIL, Terminal, piped
from toil_core.drivers.file import FileJobStore
from toil_core.options import Config

SERVED = """
from toil_core import job, main, service

@service(cores=0.1, memory="64 MiB", disk="1 MiB")
def server():
    yield "a word"

@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def user(word):
    print("was given", word)
    raise ValueError("no")

@job(cores=0.1, memory="64 MiB", disk="1 MiB")
def top(job):
    return job.add_child(user(job.add_service(server())))

if __name__ == "__main__":
    main(top)
"""
FAILING = Path(__file__).parent.parent / "monitor" / "failing.py"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store `s` of a workflow whose job `use` failed, and its script."""
    folder = tmp_path_factory.mktemp("failed")
    shutil.copy(FAILING, folder / "failing.py")
    assert piped("run", "failing.py", "s", "--retry-count", "0", cwd=folder).returncode == 1
    return folder


def content(folder: Path) -> dict[str, bytes]:
    store = FileJobStore(str(folder / "s"), Config())
    return {blob.key: store.read(blob.key).read() for blob in store.list()}


def test_a_job_runs_again_with_its_inputs_and_changes_nothing(failed: Path, tmp_path: Path) -> None:
    before = content(failed)
    for number in range(2):
        shown = piped("debug-job", "s", "use", "--directory", tmp_path / f"here-{number}", cwd=failed)
        assert shown.returncode == 1
        assert "it has 12 letters\n" in shown.stdout and "failed: ZeroDivisionError" in shown.stdout
        assert 'len(text) / made["divisor"]' in shown.stderr
        assert f"its folder: {tmp_path}/here-{number} " in shown.stdout
        assert (tmp_path / f"here-{number}" / "tmp" / "left").read_text() == "some content"
        written = FileJobStore(str(tmp_path / f"here-{number}" / "store"), Config())
        assert [written.read(blob.key).read() for blob in written.list()] == [b"SOME CONTENT"]
    assert content(failed) == before


def test_the_script_as_it_is_now_is_run(failed: Path, tmp_path: Path) -> None:
    script = failed / "failing.py"
    original = script.read_text()
    script.write_text(original.replace('made["divisor"]', '(made["divisor"] + 2)'))
    try:
        shown = piped("debug-job", "s", "use", "--json", "--directory", tmp_path / "here", cwd=failed)
    finally:
        script.write_text(original)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == {"folder": f"{tmp_path}/here", "failure": None, "value": "6.0", "added": [], "messages": []}
    assert shown.stderr == "it has 12 letters\n"


def test_what_is_known_of_it_is_told_without_running_it(failed: Path) -> None:
    shown = piped("debug-job", "s", "use", "--printJobInfo", cwd=failed)
    assert shown.returncode == 0
    assert shown.stdout.startswith("use 1-1.0.1: 0.1 cores, 64.0 MiB of memory, 1.0 MiB of disk\n")
    assert "its last attempt: failed: ZeroDivisionError" in shown.stdout
    info = json.loads(piped("debug-job", "s", "use", "--print-job-info", "--json", cwd=failed).stdout)
    assert (info["job"], info["needs"]) == ("1-1.0.1", ["1-1.0.0"])
    assert (info["failure"]["reason"], info["failure"]["message"]) == ("failed", "ZeroDivisionError: division by zero")
    waiting = piped("debug-job", "s", "last", "--print-job-info", cwd=failed)
    assert waiting.returncode == 0 and "it is given the values of: 1-1.0.1\n" in waiting.stdout


def test_the_debugger_stops_at_its_first_line_and_at_what_it_raises(failed: Path, tmp_path: Path) -> None:
    terminal = Terminal([*TOIL, "debug-job", "s", "use", "--pdb", "--directory", tmp_path / "here"], failed)
    terminal.until(r"\(Pdb\) ")
    assert "use()" in terminal.text
    terminal.press("p list(made), made['divisor']\n")
    terminal.until(r"\(\['file', 'divisor'\], 0\)")
    terminal.press("c\n")
    terminal.until(r"return float\(len\(text\) / made.*\n\(Pdb\) ")
    terminal.press("p len(text)\nq\n")
    terminal.until(r"\n12\n")
    assert terminal.end() == 1


@pytest.mark.parametrize("pressed", ["q\n", "\x04"], ids=["q", "end of input"])
def test_a_debugger_that_is_left_early_tells_of_no_success(pressed: str, failed: Path, tmp_path: Path) -> None:
    terminal = Terminal([*TOIL, "debug-job", "s", "use", "--pdb", "--directory", tmp_path / "here"], failed)
    terminal.until(r"\(Pdb\) ")
    terminal.press(pressed)
    assert terminal.end() == 1
    assert "the debugger was left before use 1-1.0.1 had ended" in terminal.text and "succeeded" not in terminal.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["make"], "every job named 'make' in s has succeeded"),
        (["nobody"], "there is no job 'nobody' in s that has not succeeded yet; `toil status s` lists names"),
        (["last"], "the value of use 1-1.0.1 is not there"),
        (["use", "--directory", "."], "exists already"),
        (["use", "--directory", "/proc/none/x"], "cannot be made"),
        (["use", "--pdb", "--json"], "--pdb"),
    ],
)
def test_what_cannot_be_run_says_so_in_a_line(arguments: list[str], says: str, failed: Path) -> None:
    shown = piped("debug-job", "s", *arguments, cwd=failed)
    assert shown.returncode == 2 and says in shown.stderr and shown.stderr.count("\n") == 1


def test_a_job_with_a_service(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVED)
    assert piped("run", "served.py", "s", "--retry-count", "0", cwd=tmp_path).returncode == 1
    shown = piped("debug-job", "s", "user", "--directory", tmp_path / "here", cwd=tmp_path)
    assert shown.returncode == 1 and "was given a word\n" in shown.stdout
    assert "do not run here, and it was given what they last started with: server 1-1.0.1\n" in shown.stdout
    told = json.loads(piped("debug-job", "s", "user", "--json", "--directory", tmp_path / "there", cwd=tmp_path).stdout)
    assert told["failure"]["message"] == "ValueError: no"
    assert "services that run for it: server 1-1.0.1\n" in piped("debug-job", "s", "user", "--print-job-info", cwd=tmp_path).stdout
    refused = piped("debug-job", "s", "server", "--directory", tmp_path / "not", cwd=tmp_path)
    assert refused.returncode == 2 and "server 1-1.0.1 is a service" in refused.stderr and not (tmp_path / "not").exists()


def test_modules_that_are_missing_here(failed: Path, tmp_path: Path) -> None:
    script = failed / "failing.py"
    original = script.read_text()
    script.write_text("import nowhere_to_be_found\n")
    try:
        shown = piped("debug-job", "s", "use", "--directory", tmp_path / "here", cwd=failed)
    finally:
        script.write_text(original)
    assert shown.returncode == 2 and "cannot be loaded here: ModuleNotFoundError" in shown.stderr
