"""For batch systems that run work themselves: the worker host, what a request's bytes say, and what a machine has.

What a plugin may use of `toil_core.worker`, `toil_core.wire` and `toil_core.drivers`; each is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toil_core.batch_system import Requirement
    from toil_core.options import Config
    from toil_core.wire.work import Work, decode_work
    from toil_core.worker.host import WorkerHost

_HOMES = {"WorkerHost": "toil_core.worker.host", "Work": "toil_core.wire.work", "decode_work": "toil_core.wire.work"}


def machine_offer(folder: Path) -> Requirement:
    """What this machine, or the container around this process, has for jobs.

    Args:
        folder: Where jobs will have their temporary files.
    """
    from toil_core.drivers import machine

    return machine.offer(folder)


def work_dir(config: Config) -> str:
    """The folder for temporary files that the options name; empty when each machine is to use its own."""
    from toil_core.leader.options import EngineOptions

    return config[EngineOptions].work_dir or ""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


__all__ = ["Work", "WorkerHost", "decode_work", "machine_offer", "work_dir"]
