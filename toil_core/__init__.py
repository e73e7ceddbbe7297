"""A workflow engine with a small core; clouds, schedulers and languages are plugins.

The names below are the whole public surface for workflow authors; each is imported on
first use, so that `import toil_core` costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from `typing`: a file of that name beside the user's script is told of below
if TYPE_CHECKING:
    from typing import Any

    from toil_core.batch_system import Accelerator as Accelerator
    from toil_core.plugins import hookimpl as hookimpl
    from toil_core.workflow.files import Directory as Directory
    from toil_core.workflow.files import File as File
    from toil_core.workflow.job import Job as Job
    from toil_core.workflow.job import job as job
    from toil_core.workflow.promise import Promise as Promise
    from toil_core.workflow.promise import promised as promised
    from toil_core.workflow.run import Toil as Toil
    from toil_core.workflow.run import main as main
    from toil_core.workflow.run import run as run
    from toil_core.workflow.service import Service as Service
    from toil_core.workflow.service import service as service

_HOME = {
    "Accelerator": "toil_core.batch_system",
    "Directory": "toil_core.workflow.files",
    "File": "toil_core.workflow.files",
    "Job": "toil_core.workflow.job",
    "Promise": "toil_core.workflow.promise",
    "Toil": "toil_core.workflow.run",
    "hookimpl": "toil_core.plugins",
    "job": "toil_core.workflow.job",
    "main": "toil_core.workflow.run",
    "promised": "toil_core.workflow.promise",
    "run": "toil_core.workflow.run",
    "Service": "toil_core.workflow.service",
    "service": "toil_core.workflow.service",
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from importlib import import_module

        value = getattr(import_module(_HOME[name]), name)
    except Exception as error:
        from toil_core.hiding import leave_if_hidden

        leave_if_hidden(error)
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
