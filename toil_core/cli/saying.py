"""What subcommands say of what they do, on standard error: all of them in the same way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from toil_core import telling
from toil_core.options import Config
from toil_core.telling_options import TellingOptions

_SILENT = logging.CRITICAL + 10


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        telling.tell(f"toil: {record.getMessage()}")


@contextmanager
def said(config: Config) -> Iterator[None]:
    """While open, show what loggers of the engine say from the level on that the options name.

    Args:
        config: The options.
    """
    logger, shown, level = logging.getLogger("toil"), _Shown(), config[TellingOptions].log_level
    former = logger.level, logger.propagate
    logger.setLevel(_SILENT if level == "OFF" else level)
    logger.propagate = False
    logger.addHandler(shown)
    try:
        yield
    finally:
        logger.removeHandler(shown)
        logger.setLevel(former[0])
        logger.propagate = former[1]
