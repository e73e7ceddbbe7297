"""What a node says of itself when it is asked for the first time; and whether it will do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from toil_core.errors import ToilError

TOOLS = ("tmux", "screen", "rsync")
"""The programs that a user finds on every node whose system is ours."""
_PACKAGES = {"tmux": "tmux", "screen": "screen", "rsync": "rsync", "python": "python3"}


@dataclass(frozen=True, slots=True)
class Facts:
    """A node as it was found.

    Args:
        home: The home of the node's user.
        python: A Python of the wanted version; empty when there is none.
        versions: The versions of Python that were looked at; where the wanted one is there, it is the last.
        machine: The kind of processor, as `uname -m` says.
        tools: Programs that are there.
        root: How to be root: `` for one is, `sudo`, or None for not at all.
        apt: Whether it has Debian's package manager.
        free: Bytes of disk that are free at the home.
    """

    home: PurePosixPath
    python: str
    versions: tuple[str, ...]
    machine: str
    tools: frozenset[str]
    root: str | None
    apt: bool
    free: int


def question(version: str) -> list[str]:
    """The command that makes a node tell its facts.

    Args:
        version: The version of Python that is wanted, `3.11`.
    """
    candidates = " ".join(map(shlex.quote, (f"python{version}", "python3", sys.executable and _base_python())))
    script = f"""
echo "home=$HOME"
echo "machine=$(uname -m)"
for python in {candidates}; do
    path=$(command -v "$python" 2>/dev/null) || continue
    found=$("$path" -c 'import sys, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    echo "python=$found $path"
    [ "$found" != {shlex.quote(version)} ] || break
done
for tool in {" ".join(TOOLS)}; do command -v $tool >/dev/null 2>&1 && echo "tool=$tool"; done
if [ "$(id -u)" = 0 ]; then echo root=; elif sudo -n true 2>/dev/null; then echo root=sudo; fi
command -v apt-get >/dev/null 2>&1 && echo apt=yes
echo "free=$(df -Pk "$HOME" | awk 'NR == 2 {{ print $4 }}')"
"""
    return ["sh", "-c", script]


def answered(text: str, version: str) -> Facts:
    """What the answer to `question` says.

    Args:
        text: The answer.
        version: The version of Python that is wanted.

    Raises:
        ToilError: It is no answer.
    """
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            said.setdefault(name, []).append(value)
    if "home" not in said or not said["home"][0].startswith("/"):
        raise ToilError(f"the node gives no sensible answer: {' '.join(text.split())[:200] or 'nothing'}")
    pythons = [line.split(" ", 1) for line in said.get("python", [])]
    return Facts(
        home=PurePosixPath(said["home"][0]),
        python=next((path for found, path in pythons if found == version), ""),
        versions=tuple(dict.fromkeys(found for found, _ in pythons)),
        machine=said.get("machine", [""])[0],
        tools=frozenset(said.get("tool", ())),
        root=said["root"][0] if "root" in said else None,
        apt="apt" in said,
        free=int(said["free"][0]) * 1024 if said.get("free", [""])[0].isdigit() else 1 << 62,
    )


def missing_packages(facts: Facts, version: str) -> list[str]:
    """The system's packages to install on a node whose system is ours."""
    names = [*(tool for tool in TOOLS if tool not in facts.tools), *([] if facts.python else ["python"])]
    packages = [_PACKAGES[name] for name in names]
    return [f"python{version}" if package == "python3" and facts.versions else package for package in packages]


def install_command(packages: Iterable[str], root: str) -> list[str]:
    """The command that installs the system's packages."""
    install = "apt-get install -y -qq --no-install-recommends " + " ".join(map(shlex.quote, packages))
    script = f"export DEBIAN_FRONTEND=noninteractive; {{ {install} || {{ apt-get update -qq && {install}; }}; }} </dev/null 2>&1"
    return [*([root] if root else []), "sh", "-c", script]


def objection(facts: Facts, version: str, machine: str) -> str:
    """Why the node will not do; empty when it will.

    Args:
        facts: What it says.
        version: The version of Python that is wanted.
        machine: The kind of processor that is wanted.
    """
    if facts.machine and facts.machine != machine:
        return f"its processor is {facts.machine}, and what is sent to it is for {machine}; take another node type, or a bundle for it (`toil bundle --platform`)"
    if not facts.python:
        there = f"it has {', '.join(facts.versions)}" if facts.versions else "it has none"
        return (
            f"it needs Python {version}, which what is sent to it is for, and {there}; run toil on a Python that the node has, "
            "take a machine image with this one, or a bundle for the node's (`toil bundle --python`)"
        )
    return ""


def _base_python() -> str:
    """The interpreter behind this program's environment: on nodes that share this machine's disk it is there too."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)
