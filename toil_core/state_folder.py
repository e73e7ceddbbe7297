"""Where this program keeps what it must remember on the user's machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """TOIL_STATE_DIR, else the folder `toil` among the user's program states: `~/.local/state/toil`.

    Args:
        environ: The environment; None for the process's own.
    """
    environ = os.environ if environ is None else environ
    if environ.get("TOIL_STATE_DIR"):
        return Path(environ["TOIL_STATE_DIR"]).expanduser().absolute()
    return Path(environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser().absolute() / "toil"
