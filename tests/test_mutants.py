"""A few mutants of each kind of code, by a seed: the tests notice them, and the list of survivors is of mutants that there are."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import tomllib

import pytest

from tools.mutants import ROOT, SURVIVORS, every, main
from tools.mutations import mutations
from tools.reached import watching


@pytest.mark.timeout(600)
def test_a_sample_is_noticed() -> None:
    command = [sys.executable, "-m", "tools.mutants", "--sample", "4", "--seed", "7", "--only", "toil_core.leader.retries", "--tests", "tests/leader/test_retries.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of 4 mutants killed" in done.stdout


def test_a_sample_that_was_stopped_goes_on_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    listed: list[list[str]] = []
    for after in ("0", "3"):
        assert main(["--list", "--sample", "8", "--after", after]) == 0
        listed.append(capsys.readouterr().out.splitlines())
    assert len(listed[0]) == 8 and listed[1] == listed[0][3:]


def test_survivors_are_mutants_that_there_are() -> None:
    listed = [item["mutant"] for item in tomllib.loads(SURVIVORS.read_text())["survivor"]]
    assert len(listed) == len(set(listed))
    assert not set(listed) - {mutant.name for mutant in every()}


def test_code_is_changed_in_one_place_each() -> None:
    source = "def f(a, b):\n    if a < b and not a:\n        a += 1\n    return [x for x in b if x] or True\n"
    found = list(mutations(source))
    assert {mutation.what for mutation in found} >= {
        "a < b -> a <= b", "a < b and (not a) -> a < b or not a", "a < b and (not a) -> a < b", "a += 1 -> a -= 1", "a += 1 -> pass",
        "1 -> 2", "for x if x -> for x", "True -> False", "if a < b and (not a) -> if not (a < b and (not a))",
    }  # fmt: skip
    changed = [ast.unparse(mutation.apply(source)) for mutation in found]
    assert len(set(changed)) == len(changed) and ast.unparse(ast.parse(source)) not in changed
    for mutation in found:  # what is no code at all would count as killed
        compile(mutation.apply(source), "source", "exec")


_TAKEN = """
from tools.mutants import every, patch
from toil_core.leader.state import JobState, Stage
job, read = JobState("1", None, None), JobState.resolved.fget
job.stage = Stage.DONE
print(read(job))
patch(next(mutant for mutant in every() if mutant.name == "toil_core.leader.state JobState.resolved: self.unresolved == 0 -> self.unresolved != 0"))
print(read(job))
"""
_UNTRIED = "from tools.mutants import every, run; next(run(None, every()[:1], {}, 1))"
"""Without tests there is nothing to try it with."""


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_mutant_takes_the_place_of_code_that_is_imported_already() -> None:
    done = python(_TAKEN)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_what_could_not_be_tried_is_no_kill() -> None:
    assert "could not be tried" in python(_UNTRIED).stderr


def test_what_is_logged_asserted_or_annotated_is_left_alone() -> None:
    source = "def f(a: int = 1) -> None:\n    assert a == 1\n    _log.warning('%s', 2)\n"
    assert [mutation.what for mutation in mutations(source)] == ["2 -> 3"]


def test_a_mutant_says_on_which_lines_it_is() -> None:
    source = "def f(a):\n    if (a >\n            1):\n        return [b for b in a\n                if b]\n    del a\n"
    found = {mutation.what: (mutation.line, mutation.last) for mutation in mutations(source)}
    assert found["a > 1 -> a >= 1"] == found["if a > 1 -> if not a > 1"] == (2, 3)
    assert found["1 -> 2"] == (3, 3) and found["del a -> pass"] == (6, 6) and found["for b if b -> for b"] == (5, 5)


def _double(number: int) -> int:
    if number > 5:
        number -= 5
    return number * 2


def test_the_lines_that_are_run_are_known_in_every_thread() -> None:
    file, first = _double.__code__.co_filename, _double.__code__.co_firstlineno
    with watching([file, "another"]) as large:
        thread = threading.Thread(target=_double, args=(9,))
        thread.start()
        thread.join()
    with watching([file]) as small:
        _double(1)
    with watching(["another"]) as none:
        _double(9)
    assert large.any(file, first + 2, first + 2) and not small.any(file, first + 2, first + 2)
    assert small.any(file, first + 3, first + 9) and small.any(file, first + 1, first + 2) and small.seconds >= 0
    assert not none.lines and not large.any("another", 0, 99)
