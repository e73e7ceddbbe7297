"""What a job's error means, and what the user sees of it."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import toil_core
from toil_core.batch_system import Reason
from toil_core.errors import StoreFull, UsageError
from toil_core.wire.jobs import Failure

_ENGINE = str(Path(toil_core.__file__).parent) + os.sep
_FILES = os.path.join(_ENGINE, "workflow", "files.py")
_DISK = (errno.ENOSPC, errno.EDQUOT)
_LONGEST = 500


def failure_of(error: BaseException) -> Failure:
    """The verdict on what a job raised; its traceback goes to standard error, without the engine's own frames."""
    if isinstance(error, SystemExit):
        return _left(error)
    _print(error)
    message = one_line(error)
    if isinstance(error, MemoryError):
        return Failure(Reason.OUT_OF_MEMORY, message)
    if isinstance(error, OSError) and error.errno in _DISK:
        from toil_core.worker.disks import full_disk

        where = full_disk(error, os.environ.get("TMPDIR", os.getcwd()))
        return Failure(Reason.OUT_OF_DISK, f"{message}; {where}" if where else message)
    if isinstance(error, StoreFull):
        return Failure(Reason.OUT_OF_DISK, message)
    return Failure(Reason.FAILED, message, retry=not isinstance(error, UsageError))


def one_line(error: BaseException) -> str:
    """`ValueError: what it says`, the first line of it."""
    kind = type(error).__name__
    try:
        text = _sendable(str(error)).strip().partition("\n")[0]
    except Exception as broken:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"(its text cannot be had: {type(broken).__name__})"
    return (f"{kind}: {text}" if text else kind)[:_LONGEST]


def _sendable(text: str) -> str:
    """The text with escapes for what UTF-8 cannot have, such as the odd bytes of a file's name."""
    return text.encode("utf-8", "backslashreplace").decode()


def _left(error: SystemExit) -> Failure:
    if error.code is None or isinstance(error.code, int):
        code = error.code or 0
        return Failure(Reason.FAILED, f"the job called sys.exit({code}) where it should return", code)
    with suppress(OSError, ValueError):
        print(error.code, file=sys.stderr)
    return Failure(Reason.FAILED, _sendable(f"the job called sys.exit: {error.code}")[:_LONGEST], 1)


def _print(error: BaseException) -> None:
    place = _asked_at(error) if isinstance(error, UsageError) else ""
    if place:
        with suppress(OSError, ValueError):
            print(f"{_sendable(one_line(error))} ({place})", file=sys.stderr, flush=True)
        return
    shown = traceback.TracebackException.from_exception(error)
    _trim(shown, set())
    with suppress(OSError, ValueError):  # the disk of the log is full, or the job closed the stream
        print("".join(shown.format()), end="", file=sys.stderr, flush=True)


def _asked_at(error: BaseException) -> str:
    """The line of the user's that asked `job.files` for what is refused; empty where something else raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    for above, frame in pairwise(frames):
        if frame.filename == _FILES and not above.filename.startswith(_ENGINE):
            return f"{above.filename}, line {above.lineno}, in {above.name}"
    return ""


def _trim(shown: traceback.TracebackException, seen: set[int]) -> None:
    if id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not frame.filename.startswith(_ENGINE)])
    for inner in (shown.__cause__, shown.__context__, *(getattr(shown, "exceptions", None) or ())):
        if inner is not None:
            _trim(inner, seen)
