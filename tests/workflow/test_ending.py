"""Scripts that start their workflow by `Toil` or `run`, and catch nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from toil_core import Toil, job

@job(memory="64 MiB", disk="1 MiB", cores=0.5)
def work(fail):
    if fail:
        sys.exit("no more")

if __name__ == "__main__":
    parser = Toil.parser("Works.")
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--bug", action="store_true")
    options = parser.parse_args()
    {first}
    with Toil(options) as toil:
        toil.restart() if toil.restarting else toil.start(work(options.fail))
        if options.bug:
            raise ValueError("a mistake of the script")
"""


def ended(folder: Path, *arguments: str, first: str = "pass") -> tuple[int, list[str]]:
    script = folder / "works.py"
    script.write_text(SCRIPT.format(first=first))
    command = [sys.executable, str(script), *arguments, "--disable-progress", "--log-level", "OFF"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:x"], "there is no job store named 'nowhere'"),
        (["store", "--restart"], "there is no workflow at"),
        (["store", "--default-memory", "2Q"], "'2Q' is not a size in bytes"),
        (["store", "--defaultMemry", "2G"], "unknown option --defaultMemry; did you mean --defaultMemory?"),
        (["store", "--config", "none.toml"], "there is no config file none.toml"),
        (["store", "--max-cores", "0.1"], "job 'work' asks for 0.5 cores; --max-cores allows 0.1"),
    ],
)
def test_what_the_user_must_change_is_told_in_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, (line,) = ended(tmp_path, *arguments)
    assert (code, line.startswith("works.py: ")) == (2, True)
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["works.py"]


def test_a_failed_workflow_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    code, lines = ended(tmp_path, "store", "--fail", "--retry-count", "0")
    assert (code, lines[0]) == (1, "works.py: 1 job failed for good (0 of 1 job done):")
    assert not [line for line in lines if "Traceback" in line]


def test_other_errors_are_shown_as_ever(tmp_path: Path) -> None:
    code, lines = ended(tmp_path, "store", "--bug")
    assert (code, lines[0], lines[-1]) == (1, "Traceback (most recent call last):", "ValueError: a mistake of the script")


def test_who_shows_errors_in_another_way_keeps_doing_so(tmp_path: Path) -> None:
    first = "sys.excepthook = lambda kind, error, trace: print('mine:', kind.__name__, file=sys.stderr)"
    assert ended(tmp_path, "nowhere:x", first=first) == (1, ["mine: NoSuchDriver"])
