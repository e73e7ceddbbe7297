"""Finding plugins: drivers one of N by name (stevedore), hooks 1:N (pluggy).

Nothing else in the code base imports stevedore or builds a PluginManager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from toil_core.batch_system import BatchSystem
    from toil_core.job_store import JobStore
    from toil_core.options import Config

hookimpl = pluggy.HookimplMarker("toil")


def open_job_store(locator: str, config: Config) -> JobStore:
    """Open the job store that a locator (`NAME:REST`, or a path) names.

    Raises:
        NoSuchDriver: No installed plugin has the name.
        BadLocator: The locator cannot be used.
    """
    raise NotImplementedError


def open_batch_system(name: str, config: Config) -> BatchSystem:
    """Start the batch system of that name.

    Raises:
        NoSuchDriver: No installed plugin has the name.
    """
    raise NotImplementedError
