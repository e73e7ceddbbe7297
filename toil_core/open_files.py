"""Whether an open file is still the one that its path names."""

from __future__ import annotations

import os


def is_at(path: str | os.PathLike[str], file: int) -> bool:
    """Whether the open file is the one at the path: another process may have removed or replaced it since it was opened."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
