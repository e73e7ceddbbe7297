"""How a user's program ends on an error of the engine: with one line, and the exit code that says whose turn it is."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import NoReturn

from toil_core.errors import Interrupted, ToilError, UsageError


def leave(error: ToilError) -> NoReturn:
    """Say what the error says, with the program's name before it, and end the program.

    Raises:
        SystemExit: With 2 when the user must change something, 130 or 143 when the run was interrupted, else 1.
    """
    name = sys.argv[0].rpartition("/")[2] if sys.argv else ""
    text = "; ".join([str(error), *getattr(error, "__notes__", ())])
    print(f"{name or 'toil'}: {text}", file=sys.stderr)
    raise SystemExit(_code(error)) from None


def _code(error: ToilError) -> int:
    if isinstance(error, Interrupted):
        return error.exit_code
    return 2 if isinstance(error, UsageError) else 1


def tell_uncaught() -> None:
    """Have an error of the engine that a script does not catch end it as `leave` does, instead of with a traceback.

    Other errors are shown as ever, and whoever shows errors in another way keeps doing so.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _uncaught


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, ToilError) and kind.__module__ == ToilError.__module__ and not hasattr(sys, "ps1"):
        leave(error)  # what it raises is the interpreter's exit code
    sys.__excepthook__(kind, error, trace)
