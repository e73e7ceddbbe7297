"""Temporary folders and files, under the names that scripts import."""

from tempfile import mkdtemp, mkstemp

__all__ = ["mkdtemp", "mkstemp"]
