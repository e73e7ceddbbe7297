"""A job that stands for another one and all below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from toil_core.errors import GraphError
from toil_core.workflow.job import AnyJob, Job, R
from toil_core.workflow.promise import Known, Promise

_MEMORY = "64 MiB"


class Encapsulated(Job[R]):
    """Stands for a job and all below it. Made by `Job.encapsulate`.

    It does nothing itself: the job is its child, and what is added to it comes after an empty follow-on.

    Args:
        inner: The job.
    """

    __slots__ = ("_toil_inner", "_toil_last", "_toil_stands_for")

    def __init__(self, inner: Job[R]) -> None:
        if inner._toil_running is not None:
            raise GraphError(f"{inner!r} is running; only a job that has not run can be encapsulated")
        super().__init__(cores=0.1, memory=_MEMORY, disk=0, isolated=False, name=f"all of {inner.name}")
        self._toil_inner = inner
        self._toil_last: Job[Any] = Job(cores=0.1, memory=_MEMORY, disk=0, isolated=False, name=f"after {inner.name}")
        super().add_child(inner)
        super().add_follow_on(self._toil_last)

    def run(self) -> R:
        """Do nothing but promise what the encapsulated job returns, for when this is the root of a workflow."""
        return cast(R, Known(*self._toil_stands_for))

    def add_child(self, node: AnyJob) -> AnyJob:
        """Make a job run after the encapsulated one and all below it, and give it back."""
        return self._toil_last.add_child(node)

    def add_follow_on(self, node: AnyJob) -> AnyJob:
        """Make a job run after all that was added as children here, and give it back."""
        return self._toil_last.add_follow_on(node)

    def add_service(self, service: Any, parent: object = None) -> Any:
        """Have a service run beside what is added here; not beside the encapsulated job."""
        return self._toil_last.add_service(service, parent)

    def rv(self, *path: Any) -> Any:
        """The promise of what the encapsulated job returns, or of a part of it."""
        return Promise(self._toil_inner, path)

    def _toil_state(self, ids: Mapping[int, str]) -> tuple[str, str]:
        """Id and name of the encapsulated job: only the empty job itself is sent to a worker."""
        return ids[id(self._toil_inner)], self._toil_inner.name

    def __setstate__(self, state: tuple[str, str]) -> None:
        self._toil_stands_for = state
