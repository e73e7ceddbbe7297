"""What a user gives to rsync: which words are paths, and which belong to an option before them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SHORT = "BTMef"
_LONG = """
    address backup-dir block-size bwlimit checksum-choice checksum-seed chmod chown compare-dest compress-choice compress-level contimeout copy-as copy-dest
    debug early-input exclude exclude-from files-from filter groupmap iconv include include-from info link-dest log-file log-file-format max-alloc max-delete
    max-size min-size modify-window only-write-batch out-format outbuf partial-dir password-file port protocol read-batch remote-option rsh rsync-path
    skip-compress sockopts stderr stop-after stop-at suffix temp-dir timeout usermap write-batch
"""
"""Options of rsync that take a value, which may be the next word."""


def with_values(words: Sequence[str]) -> list[str]:
    """The same, with each value in one word with its option, so that all that begin with no `-` are paths.

    Args:
        words: rsync's arguments.
    """
    found: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            return [*found, word, *left]
        value = next(left, None) if _wants_value(word) else None
        found.append(word if value is None else f"{word}={value}" if word.startswith("--") else f"{word}{value}")
    return found


def paths(words: Sequence[str]) -> list[str]:
    """Those that are paths, of words that `with_values` gave."""
    options = words[: words.index("--")] if "--" in words else words
    return [word for word in options if not word.startswith("-")] + list(words[len(options) + 1 :])


def _wants_value(word: str) -> bool:
    if word.startswith("--"):
        return word[2:] in _LONG.split()
    return re.fullmatch(rf"-[^{_SHORT}-][^{_SHORT}]*[{_SHORT}]|-[{_SHORT}]", word) is not None
