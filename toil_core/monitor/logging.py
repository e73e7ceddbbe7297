"""Where the leader's own words go: standard error, and a file when asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from toil_core.errors import BadOption
from toil_core.leader.options import EngineOptions
from toil_core.options import Config

ROOT = "toil"
"""Every logger of the engine is this one or below it; the user's own loggers are left alone."""
_SILENT = logging.CRITICAL + 10


class LineHandler(logging.Handler):
    """Shows records on standard error, or wherever the progress display wants them.

    Attributes:
        show: Takes a record's text and its level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.show: Callable[[str, int], None] = to_stderr
        self.setFormatter(_Lines())

    def emit(self, record: logging.LogRecord) -> None:
        """Show the record; a terminal that has gone away is no reason to stop."""
        try:
            self.show(self.format(record), record.levelno)
        except (OSError, ValueError):
            pass
        except Exception:  # noqa: BLE001  logging never raises into the caller
            self.handleError(record)


def to_stderr(text: str, level: int) -> None:
    """Write a line to what is standard error right now."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def logged(config: Config) -> Iterator[LineHandler]:
    """Show what the engine's loggers say, as the options want it, until the block ends.

    Inside another such block it changes nothing.

    Raises:
        BadOption: The log file cannot be written.
    """
    options = config[EngineOptions]
    logger = logging.getLogger(ROOT)
    for known in logger.handlers:
        if isinstance(known, LineHandler):
            yield known
            return
    lines = LineHandler()
    added = [lines, *_file(options.log_file)]
    former = logger.level, logger.propagate
    logger.setLevel(_SILENT if options.log_level == "OFF" else options.log_level)
    logger.propagate = False  # a script that sets up the root logger would see every line twice
    for handler in added:
        logger.addHandler(handler)
    try:
        yield lines
    finally:
        for handler in added:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(former[0])
        logger.propagate = former[1]


def _file(path: str | None) -> list[logging.Handler]:
    if not path:
        return []
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise BadOption(f"log file {path} cannot be written: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return [handler]


class _Lines(logging.Formatter):
    """The time and the text; the level where it is more than information."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
        self._plain = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return self._plain.format(record) if record.levelno == logging.INFO else super().format(record)
