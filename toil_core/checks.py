"""What `toil doctor` looks at: a check is a fact, a verdict, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one thing that runs need.

    Args:
        name: The thing: `clock` for example.
        state: `ok`, `warning` (a run may suffer) or `error` (a run will fail).
        found: What was found, in words for the user; never a secret.
        advice: What to do about it; empty when there is nothing to do.
    """

    name: str
    state: Literal["ok", "warning", "error"]
    found: str
    advice: str = ""
