from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.monitor.terminal import TOIL, WORKFLOW, Terminal, environment, piped, processes_with
from toil_core.testing.needs import under_permissions
from toil_core.testing.runners import await_file

SHOWS = """
import json, sys
from pathlib import Path
print(json.dumps([__name__, __file__, sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals()]))
"""


def script(folder: Path, text: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_script_runs_as_the_main_program(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    path = script(tmp_path / "scripts", SHOWS)
    ended = piped("run", "scripts/script.py", "--help", "--", "a b", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ["__main__", str(path), ["scripts/script.py", "--help", "--", "a b"], str(path.parent), True]


def package(folder: Path, main: str = SHOWS, name: str = "study") -> Path:
    (folder / name).mkdir()
    for file, text in {"__init__.py": "", "steps.py": "from study import known\n", "__main__.py": main}.items():
        script(folder / name, text, file)
    return folder / name


def test_a_package_runs_as_the_main_program(tmp_path: Path) -> None:
    made = package(tmp_path)
    ended = piped("run", "-m", "study", "-m", "a b", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == ["__main__", str(made / "__main__.py"), [str(made / "__main__.py"), "-m", "a b"], str(tmp_path), True]


def test_an_error_of_a_module_is_shown_without_frames_of_what_starts_it(tmp_path: Path) -> None:
    package(tmp_path, "from study import steps\n")
    ended = piped("run", "-m", "study", cwd=tmp_path)
    assert ended.returncode == 1 and "cannot import name 'known'" in ended.stderr
    assert "runpy" not in ended.stderr and "toil_core" not in ended.stderr


@pytest.mark.parametrize("name", ["nothing", "study.nothing", "nothing.at.all", ".study", "", "a b", "study/__main__.py", "bare", "study.steps.more"])
def test_a_module_that_cannot_be_run_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    (package(tmp_path) / "__init__.py").write_text("known = 1\n")
    (tmp_path / "bare").mkdir()
    ended = piped("run", "-m", name, cwd=tmp_path)
    assert ended.returncode == 2
    assert f"there is no module {name!r} that can be run" in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_its_exit_code_is_the_scripts(tmp_path: Path) -> None:
    script(tmp_path, "import sys\nsys.exit(7)\n")
    assert piped("run", "script.py", cwd=tmp_path).returncode == 7


def test_a_config_file_named_before_the_script_is_the_scripts(tmp_path: Path) -> None:
    script(tmp_path, "from toil_core.option_parser import config_from\nfrom toil_core.leader.options import EngineOptions\nprint(config_from()[EngineOptions].retry_count)\n")
    (tmp_path / "c.toml").write_text("[engine]\nretry-count = 5\n")
    assert piped("run", "--config", "c.toml", "script.py", cwd=tmp_path).stdout == "5\n"


def test_an_error_of_the_script_is_shown_without_frames_of_the_engine(tmp_path: Path) -> None:
    script(tmp_path, "def inner():\n    raise ValueError('mine')\ntry:\n    inner()\nexcept ValueError as error:\n    raise KeyError('outer') from error\n")
    ended = piped("run", "script.py", cwd=tmp_path)
    assert ended.returncode == 1
    assert "ValueError: mine" in ended.stderr and "KeyError: 'outer'" in ended.stderr
    assert ended.stderr.count('script.py", line') == 3
    assert "toil_core" not in ended.stderr


def test_an_error_that_the_engine_raised_keeps_its_frames(tmp_path: Path) -> None:
    script(tmp_path, "from toil_core.monitor.text import about\nabout(None)\n")
    ended = piped("run", "script.py", cwd=tmp_path)
    assert ended.returncode == 1
    assert re.search(r'script.py", line 2.*\n(.*\n)+.*toil_core/monitor/text.py', ended.stderr)
    assert "cli/run.py" not in ended.stderr


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no script script.py"),
        (lambda path: path.mkdir(), "script.py is a folder, not a Python script"),
        (lambda path: path.write_text("int main() {\n"), r"script.py is not Python: .* \(line 1\)"),
        (lambda path: path.write_bytes(b"\x7fELF\x00\x01\xff"), "script.py is not Python: "),
        (lambda path: path.symlink_to("script.py"), "script 'script.py' cannot be read: Too many levels"),
    ],
)
def test_what_is_no_script_is_refused_in_a_line(make: object, says: str, tmp_path: Path) -> None:
    make(tmp_path / "script.py")  # type: ignore[operator]
    ended = piped("run", "script.py", "store", cwd=tmp_path)
    assert ended.returncode == 2
    assert re.fullmatch(f"toil: error: {says}.*\n", ended.stderr), ended.stderr


def test_an_unreadable_script_is_refused_in_a_line(tmp_path: Path) -> None:
    script(tmp_path, "").chmod(0)
    command = [*under_permissions(), *TOIL, "run", "script.py"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200, check=False)
    assert (ended.returncode, ended.stderr) == (2, "toil: error: script 'script.py' cannot be read: Permission denied\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "LOCATOR"),
        (["zork:x"], "there is no job store named 'zork'"),
        (["store", "--restart"], "there is no workflow at file:.*/store to go on with"),
        (["store", "--default-memory", "2Q"], "--default-memory: '2Q' is not a size"),
        (["store", "--batch-system", "zork"], "there is no batch system named 'zork'"),
        (["store", "--retry-cuont", "2"], "unknown option --retry-cuont; did you mean --retry-count"),
        (["/proc/store"], "/proc/store"),
        (["missing/folder/store"], "there is no folder .*missing/folder"),
        (["store", "--log-file", "missing/log"], "log file missing/log cannot be written: No such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    ended = piped("run", WORKFLOW, *arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert re.fullmatch(f".*{says}.*\n", ended.stderr), ended.stderr
    assert not (tmp_path / "store").exists()


def test_an_existing_store_needs_restart_and_restart_goes_on(tmp_path: Path) -> None:
    assert piped("run", WORKFLOW, "store", "--fail", "--retry-count", "0", cwd=tmp_path).returncode == 1
    again = piped("run", WORKFLOW, "store", cwd=tmp_path)
    assert again.returncode == 2
    assert re.fullmatch(r".*store holds a workflow already; add --restart .*\n", again.stderr)
    failed = piped("run", WORKFLOW, "store", "--restart", cwd=tmp_path)
    assert failed.returncode == 1
    assert "goes on; 3 of 4 jobs done" in failed.stderr


def test_a_classic_script_fails_with_the_same_lines(tmp_path: Path) -> None:
    script(
        tmp_path,
        f"import sys\nsys.path.insert(0, {str(WORKFLOW.parents[2])!r})\n"
        "from toil_core import Toil\nfrom tests.monitor.workflow import top\n"
        "if __name__ == '__main__':\n"
        "    with Toil(Toil.parser().parse_args()) as toil:\n"
        "        print(toil.start(top(3, True)))\n",
    )
    ended = piped("run", "script.py", "store", "--retry-count", "0", cwd=tmp_path)
    assert ended.returncode == 1
    assert "toil: error: 1 job failed for good (3 of 4 jobs done)" in ended.stderr
    assert "Traceback" not in ended.stderr.partition("toil: error:")[2]


@pytest.mark.parametrize("command", [[*TOIL, "run", str(WORKFLOW)], [sys.executable, str(WORKFLOW)]], ids=["toil run", "python"])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(command: list[str], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    mark = f"TOIL_TEST_MARK={tmp_path}"
    arguments = ["store", "--jobs", "4", "--gate", str(gate)]
    terminal = Terminal([*command, *arguments], tmp_path, variables=dict([mark.split("=", 1)]))
    terminal.until(r"leaf +3/4")
    terminal.press("\x03")
    assert terminal.end() == 130
    assert re.search(r"stopped; 4 of 5 jobs done; go on with --restart on file:.*/store", terminal.text.replace("\n", ""))
    assert "Traceback" not in terminal.text
    assert processes_with(mark) == []
    status = piped("status", "store", "--json", cwd=tmp_path)
    assert '"state": "stopped"' in status.stdout
    gate.touch()
    again = piped("run", WORKFLOW, "store", "--restart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split() == ["[", "0,", "1,", "2,", "3", "]"]
    assert not (tmp_path / "store").exists()


def test_sigterm_is_143(tmp_path: Path) -> None:
    mark = f"TOIL_TEST_MARK={tmp_path}"
    terminal = Terminal([*TOIL, "run", WORKFLOW, "store", "--gate", tmp_path / "gate", "--disable-progress"], tmp_path, variables=dict([mark.split("=", 1)]))
    await_file(tmp_path / "gate.open")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.end() == 143
    assert processes_with(mark) == []
    assert "--restart" in terminal.text
