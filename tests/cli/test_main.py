from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_plugins import add_plugin, run_python
from toil_core import __version__
from toil_core.cli import guarded, main
from toil_core.errors import BadOption, Interrupted, WorkflowFailed
from toil_core.plugins import commands


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == shown
    for name in ("plugins", "config", "completion"):
        assert f"  {name} " in shown


@pytest.mark.parametrize("command", [command.name for command in commands()])
def test_every_command_tells_of_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: toil {command} ")
    assert "%%" not in shown


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"toil {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plugin"], "there is no command 'plugin'; did you mean plugins?"),
        (["zzzzz"], "there is no command 'zzzzz'; `toil --help` lists them"),
        (["--jsn"], "unknown option --jsn; options follow the subcommand (`toil --help` lists those)"),
        (["plugins", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["completion", "csh"], "shell: invalid choice: 'csh'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"toil: error: {says}")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadOption("x"), 2), (WorkflowFailed("x", exit_code=33), 33), (Interrupted("x"), 130), (KeyboardInterrupt(), 130)],
)
def test_errors_become_exit_codes(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise error

    assert guarded(fail) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_a_usage_error_inside_a_command_has_no_traceback(tmp_path: Path) -> None:
    hooks = """
        from toil_core import hookimpl
        from toil_core.options import Command

        @hookimpl
        def toil_commands():
            return [Command("fail", "Fail.", "fail_command"), Command("gone", "Go.", "no_such_module")]
        """
    command = """
        from toil_core.errors import UsageError

        def configure(parser):
            pass

        def run(arguments, config):
            raise UsageError("this cannot work; do that")
        """
    add_plugin(tmp_path, "toil-fail", {"toil": {"fail": "fail_hooks"}}, {"fail_hooks": hooks, "fail_command": command})
    done = run_python(tmp_path, "fail")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "toil: error: this cannot work; do that\n")
    done = run_python(tmp_path, "gone")
    assert done.returncode == 2
    assert done.stderr.startswith("toil: error: command 'gone' cannot be loaded from no_such_module:")
    bad = run_python(tmp_path, "fail", TOIL_RETRY_COUNT="x")
    assert bad.stderr.startswith("toil: error: TOIL_RETRY_COUNT: 'x' is not")
    missing = run_python(tmp_path, "fail", "--config", "nowhere.toml")
    assert missing.stderr.startswith("toil: error: there is no config file nowhere.toml")


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code = "import sys; from toil_core.cli import main; sys.exit(main(['config']))"
    with os.fdopen(writing, "w") as out:
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=200)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("command", ["--help", "config", "plugins --json"])
def test_output_that_finds_no_room_is_told_in_one_line(command: str) -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", "import sys; from toil_core.cli import main; sys.exit(main())", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=200,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "toil: error: standard output cannot be written: No space left on device\n")
