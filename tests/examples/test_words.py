"""The words example against a count that a shell does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "words"


@pytest.mark.parametrize("parts", [1, 5])
def test_every_word_is_counted_as_a_shell_counts_it(tmp_path: Path, parts: int) -> None:
    text = EXAMPLE / "voyage.txt"
    shell = subprocess.run(f"tr -s ' ' '\\n' < '{text}' | grep . | sort | uniq -c", shell=True, check=True, capture_output=True, text=True)
    expected = {word: int(number) for number, word in (line.split() for line in shell.stdout.splitlines())}
    command = [sys.executable, str(EXAMPLE / "words.py"), f"file:{tmp_path / 'store'}", "--text", str(text), "--parts", str(parts)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected
