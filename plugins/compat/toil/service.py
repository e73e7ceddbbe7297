"""Services: `Job.Service`, and the job that a running one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import toil_core

from toil._requirements import Requirer
from toil.fileStores.abstractFileStore import AbstractFileStore

if TYPE_CHECKING:
    from toil.job import Job


class Service(Requirer):
    """Something that runs beside jobs. Derive from it, and define `start` and `stop`.

    Args:
        memory: Bytes, or text such as `2G`.
        cores: A number; fractions are allowed.
        disk: Bytes, or text.
        accelerators: Devices.
        preemptible: Whether a machine that may be taken away will do.
        walltime: Seconds after which it is ended.
        unitName: What people call it.
        preemptable: The same as `preemptible`.
    """

    def __init__(
        self, memory: Any = None, cores: Any = None, disk: Any = None, accelerators: Any = None, preemptible: Any = None,
        walltime: Any = None, unitName: str | None = "", *, preemptable: Any = None,
    ) -> None:  # fmt: skip
        needs = {"memory": memory, "cores": cores, "disk": disk, "accelerators": accelerators, "walltime": walltime}
        self._toil_require({**needs, "preemptible": preemptible, "preemptable": preemptable}, unitName)

    def start(self, job: Job) -> Any:
        """Start serving, and return what users must know.

        Args:
            job: The running service, with `fileStore`, `defer`, `log` and `tempDir`.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no start()")

    def stop(self, job: Job) -> None:
        """End serving: nobody needs it any more."""
        raise NotImplementedError(f"{type(self).__name__} defines no stop()")

    def check(self) -> bool:
        """Whether it still serves."""
        return True

    def _toil_node(self) -> Any:
        """The service of toil-core that stands for it."""
        needs: Any = self._toil_core_needs()
        return Host(self, needs)


class Host(toil_core.Service[Any]):
    """The service of toil-core that runs a script's service.

    Args:
        service: The script's service.
        needs: What it needs.
    """

    def __init__(self, service: Service, needs: Any) -> None:
        super().__init__(**needs)
        self.service = service

    def start(self, job: toil_core.Job[Any]) -> Any:
        """Start serving."""
        from toil.job import ServiceHostJob

        self.host = ServiceHostJob(self.service)
        self.host._toil_enter(job, AbstractFileStore(job))
        return self.service.start(self.host)

    def check(self) -> bool:
        """Whether it still serves."""
        alive = self.service.check()
        return alive is None or bool(alive)

    def stop(self) -> None:
        """End serving."""
        self.service.stop(self.host)
