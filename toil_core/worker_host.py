"""For batch systems that run work themselves: the worker host, and what a request's bytes say.

What a plugin may use of `toil_core.worker` and `toil_core.wire`; each name is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toil_core.wire.work import Work, decode_work
    from toil_core.worker.host import WorkerHost

_HOMES = {"WorkerHost": "toil_core.worker.host", "Work": "toil_core.wire.work", "decode_work": "toil_core.wire.work"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


__all__ = ["Work", "WorkerHost", "decode_work"]
