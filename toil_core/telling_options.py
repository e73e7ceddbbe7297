"""How much a command says of what it does."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.leader.options import LEVELS, Level, parse_level
from toil_core.options import option


@dataclass(frozen=True)
class TellingOptions:
    """How much a command says on standard error. A run has an option of the same name among its own."""

    log_level: Level = option(
        "INFO", "How much the command says of what it does; --quiet is WARNING: then only what comes of it, warnings and errors.",
        parse=parse_level, shortcuts={**LEVELS, "--quiet": "WARNING", "-q": "WARNING"}, saved=False,
    )  # fmt: skip
