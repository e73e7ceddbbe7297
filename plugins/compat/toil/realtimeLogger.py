"""Messages of jobs that the user sees at once, with `--realTimeLogging`."""

from __future__ import annotations

import logging
from typing import Any


class RealtimeLogger:
    """Its methods are those of a logger: `RealtimeLogger.info("%d of %d", done, all)`.

    What is logged in a job is passed on while it runs when the run was given `--realTimeLogging`.
    """

    @classmethod
    def getLogger(cls) -> logging.Logger:
        """The logger."""
        return logging.getLogger("toil-rt")

    @classmethod
    def debug(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at this level."""
        cls.getLogger().debug(msg, *args, **kwargs)

    @classmethod
    def info(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at this level."""
        cls.getLogger().info(msg, *args, **kwargs)

    @classmethod
    def warning(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at this level."""
        cls.getLogger().warning(msg, *args, **kwargs)

    warn = warning

    @classmethod
    def error(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at this level."""
        cls.getLogger().error(msg, *args, **kwargs)

    @classmethod
    def critical(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at this level."""
        cls.getLogger().critical(msg, *args, **kwargs)

    @classmethod
    def exception(cls, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        cls.getLogger().exception(msg, *args, **kwargs)

    @classmethod
    def log(cls, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log at a level."""
        cls.getLogger().log(level, msg, *args, **kwargs)
