"""Functions that remember what they returned."""

from functools import cache

memoize = sync_memoize = cache

__all__ = ["memoize", "sync_memoize"]
