"""What scripts set up logging with. The engine's own messages need none of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

root_logger = logging.getLogger()
logger = logging.getLogger(__name__)


def set_log_level(level: str | int, set_logger: logging.Logger | None = None) -> None:
    """Set what a logger, or the root logger, shows; a level of another name than the logging module's is the nearest one."""
    (set_logger or root_logger).setLevel(_level(level))


def set_logging_from_options(options: argparse.Namespace) -> None:
    """Set what the root logger shows to `options.logLevel`."""
    logging.basicConfig()
    set_log_level(getattr(options, "logLevel", None) or "INFO")


def configure_root_logger() -> None:
    """Show what is logged on standard error."""
    logging.basicConfig(format="[%(asctime)s] %(levelname)s %(name)s: %(message)s")
    root_logger.setLevel(logging.INFO)


def add_logging_options(parser: Any, default_level: int | None = None) -> None:
    """Add `--logLevel` and its short forms to a parser of a script that starts no workflow."""
    group = parser.add_argument_group("logging options")
    group.add_argument("--logLevel", dest="logLevel", default=logging.getLevelName(default_level or logging.INFO), help="How much is said.")
    for name in ("Off", "Critical", "Error", "Warning", "Info", "Debug"):
        group.add_argument(f"--log{name}", dest="logLevel", action="store_const", const=name.upper(), help=f"The same as --logLevel {name}.")


def _level(level: str | int) -> int:
    if isinstance(level, int):
        return level
    name = {"OFF": "CRITICAL", "TRACE": "DEBUG"}.get(level.upper(), level.upper())
    return logging.CRITICAL + 10 if level.upper() == "OFF" else logging.getLevelNamesMapping()[name]
