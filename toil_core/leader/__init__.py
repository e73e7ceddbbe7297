"""Decides: which job runs when, what its commit means, what becomes of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toil_core.leader.run import Outcome as Outcome
    from toil_core.leader.run import begin as begin
    from toil_core.leader.run import lead as lead


def __getattr__(name: str) -> Any:
    if name not in ("Outcome", "begin", "lead"):  # workers import the options beside it, and must stay small
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from toil_core.leader import run

    return getattr(run, name)
