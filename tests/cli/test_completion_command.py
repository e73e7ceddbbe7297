from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toil_core.testing.needs import need

ASK = {
    "bash": """
        eval "$(toil completion bash)"
        COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9
        IFS=' ' read -ra COMP_WORDS <<< "$1"
        [ "${1: -1}" = " " ] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _python_argcomplete toil "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """,
    "fish": """
        toil completion fish | source
        complete -C $argv[1]
        """,
    "zsh": """
        autoload -Uz compinit && compinit -D -u
        zmodload zsh/zpty
        zpty shell 'zsh -f -i'
        type() { zpty -w shell "$1" }
        until_seen() { local line found; while zpty -r shell line; do found+=$line; [[ $found == *$1* ]] && break; done; print -r -- $found }
        type 'PS1=; autoload -Uz compinit; compinit -D -u; eval "$(toil completion zsh)"'
        type 'show() { print -r -- "<$BUFFER>" }; zle -N show; bindkey ^T show; print rea""dy'
        until_seen ready >/dev/null
        zpty -n -w shell "$1"$'\\t\\C-t'
        until_seen "$2"
        """,
}


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    ("line", "offered"),
    [("toil comp", "completion"), ("toil completion f", "fish"), ("toil config --f", "--force"), ("toil plugins --j", "--json")],
)
def test_the_shell_offers(shell: str, line: str, offered: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    need("" if program else f"{shell} is not installed")
    assert program
    script = tmp_path / "ask"
    script.write_text(ASK[shell])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    quiet = ["-f"] if shell == "zsh" else ["--norc"] if shell == "bash" else ["--no-config"]
    done = subprocess.run(
        [program, *quiet, str(script), line, offered],
        env={**os.environ, "PATH": path, "HOME": str(tmp_path), "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert offered in done.stdout, done.stderr
