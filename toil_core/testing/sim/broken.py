"""Saying that something that must hold does not."""

from __future__ import annotations


class Broken(AssertionError):
    """An invariant does not hold."""


def need(holds: object, message: str) -> None:
    """An invariant.

    Args:
        holds: Whether it holds.
        message: What is wrong when it does not.

    Raises:
        Broken: It does not hold.
    """
    if not holds:
        raise Broken(message)
