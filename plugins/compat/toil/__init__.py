"""The names that scripts written for Toil import, mapped to the public API of toil-core."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """What scripts import from the package itself, looked up only then."""
    if name == "subprocess":
        import subprocess

        return subprocess
    if name == "__version__":
        from toil.version import version

        return version
    raise AttributeError(f"module 'toil' has no attribute {name!r}")
