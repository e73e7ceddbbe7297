"""What a user gives to rsync: which words are paths, and which belong to an option before them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from toil_core.errors import UsageError

_OPTION = r"--?[^\s,=\[\]]+"
_LINE = re.compile(rf"\s*({_OPTION}(?:=[^\s,]+)?(?:, {_OPTION}(?:=[^\s,]+)?)*)(?:\s|$)(?:.*\(aka ({_OPTION})\))?")
_USAGE = re.compile(rf"\[({_OPTION})[= ][^\]]")


def options_with_values() -> frozenset[str]:
    """The options that take a value, which may be the next word, of the rsync that is installed here: it tells them itself.

    Raises:
        UsageError: There is none.
    """
    program = shutil.which("rsync")
    if program is None:
        raise UsageError("there is no rsync on this machine: install it (apt-get install rsync)")
    told = subprocess.run([program, "--help"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return from_help((told.stdout + told.stderr).decode(errors="replace"))


def from_help(text: str) -> frozenset[str]:
    """The options that take a value, with their dashes, as rsync's help tells them."""
    found: set[str] = set()
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and "=" in match[1]:
            found.update(re.findall(rf"(?:^|(?<=, )){_OPTION}", match[1]), filter(None, match.groups()[1:]))
        found.update(_USAGE.findall(line))  # as of other makers' rsync
    return frozenset(found)


def with_values(words: Sequence[str], options: frozenset[str]) -> list[str]:
    """The same, with each value in one word with its option, so that all that begin with no `-` are paths.

    Args:
        words: rsync's arguments.
        options: Those of its options that take a value.
    """
    found: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            return [*found, word, *left]
        value = next(left, None) if _wants_value(word, options) else None
        found.append(word if value is None else f"{word}={value}" if word.startswith("--") else f"{word}{value}")
    return found


def paths(words: Sequence[str]) -> list[str]:
    """Those that are paths, of words that `with_values` gave."""
    options = words[: words.index("--")] if "--" in words else words
    return [word for word in options if not word.startswith("-")] + list(words[len(options) + 1 :])


def names_shell(words: Sequence[str], options: frozenset[str]) -> bool:
    """Whether words that `with_values` gave name a way to the node, by `-e` or `--rsh`.

    Args:
        words: rsync's arguments.
        options: Those of its options that take a value.
    """
    taking = re.compile(f"--rsh(=|$)|-[^-e{_letters(options)}]*e")
    return any(taking.match(word) for word in (words[: words.index("--")] if "--" in words else words))


def _wants_value(word: str, options: frozenset[str]) -> bool:
    if word.startswith("--"):
        return word in options
    letters = _letters(options)
    return bool(letters) and re.fullmatch(f"-[^{letters}-]*[{letters}]", word) is not None


def _letters(options: frozenset[str]) -> str:
    return re.escape("".join(option[1] for option in options if len(option) == 2))
