"""Commands, temporary files and logging, as scripts have them since the first days."""

from __future__ import annotations

import logging
import os
import random
import resource
import string
import subprocess
import tempfile
from collections.abc import Sequence

from toil.statsAndLogging import add_logging_options, configure_root_logger, set_log_level, set_logging_from_options

logger = logging.getLogger("toil.lib.bioio")

__all__ = [
    "absSymPath", "addLoggingOptions", "getLogLevelString", "getRandomAlphaNumericString", "getTempFile", "getTotalCpuTime",
    "getTotalCpuTimeAndMemoryUsage", "logger", "setLogLevel", "setLoggingFromOptions", "system",
]  # fmt: skip

addLoggingOptions = add_logging_options
configureRootLogger = configure_root_logger
setLogLevel = set_log_level
setLoggingFromOptions = set_logging_from_options


def system(command: str | Sequence[str]) -> None:
    """Run a command, a text by the shell, and wait for its end.

    Raises:
        CalledProcessError: It failed.
    """
    logger.debug("running %s", command)
    subprocess.run(command, shell=isinstance(command, str), check=True)


def getTempFile(suffix: str = "", rootDir: str | None = None) -> str:
    """A new, empty file in a folder, the system's own for such if none is given."""
    handle, path = tempfile.mkstemp(suffix, dir=rootDir)
    os.close(handle)
    return path


def getLogLevelString(logger: logging.Logger | None = None) -> str:
    """The name of the level that a logger, or the root logger, shows."""
    return logging.getLevelName((logger or logging.getLogger()).getEffectiveLevel())


def getRandomAlphaNumericString(length: int = 10) -> str:
    """Letters and digits, by chance."""
    return "".join(random.choices(string.ascii_letters + string.digits, k=length))


def absSymPath(path: str) -> str:
    """An absolute path; symbolic links stay."""
    return os.path.normpath(os.path.join(os.getcwd(), path))


def getTotalCpuTimeAndMemoryUsage() -> tuple[float, int]:
    """CPU seconds of this process and those that it waited for, and the most memory that one of them had, in KiB."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, own.ru_maxrss + children.ru_maxrss


def getTotalCpuTime() -> float:
    """CPU seconds of this process and those that it waited for."""
    return getTotalCpuTimeAndMemoryUsage()[0]
