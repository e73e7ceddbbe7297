"""What commands print for programs: one JSON value on standard output, and nothing else there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from toil_core.options import OptionParser


def add_json(parser: OptionParser, help: str = "Print JSON instead of text.") -> None:
    """Add `--json`.

    Args:
        parser: The command's parser.
        help: One line for the user.
    """
    parser.add_argument("--json", action="store_true", help=help)


def print_json(value: object) -> None:
    """Print a value as JSON.

    Args:
        value: Plain data, dataclasses and structs among it.
    """
    import json

    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2))  # escapes what is not ASCII: names of files need not be Unicode


@contextmanager
def stdout_on_stderr(*, active: bool = True) -> Iterator[None]:
    """While open, what this process and its children print goes to standard error, so that JSON stands alone.

    Args:
        active: Whether to do so.
    """
    if not active:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
