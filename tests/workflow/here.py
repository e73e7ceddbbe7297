"""A workflow run in this process by the plain rules of order: what the real engine must agree with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toil_core.drivers.file import FileJobStore
from toil_core.errors import GraphError
from toil_core.options import Config
from toil_core.wire import keys
from toil_core.wire.jobs import Failure, Kind, NewJob, Result
from toil_core.wire.work import Setup, Task
from toil_core.worker import attempt
from toil_core.worker.runner import Place
from toil_core.workflow import pickling
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.job import Job
from toil_core.workflow.policy import Policy


class JobFailed(Exception):
    """An attempt did not succeed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass
class Known:
    """A job, and what became of it."""

    new: NewJob
    kind: Kind
    body: bytes
    children: list[str]
    follow_ons: list[str]
    value: bytes | None = None
    value_needs: tuple[str, ...] = ()


@dataclass
class Here:
    """Runs graphs in this process, against a file job store.

    Args:
        folder: Where store and temporary folders are made.
        config: The run's options.
    """

    folder: Path
    config: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.store = FileJobStore(str(self.folder / "store"), self.config)
        self.store.prepare()
        self.setup = Setup(options=self.config.as_dict())
        self.jobs: dict[str, Known] = {}
        self.order: list[str] = []
        self.results: list[Result] = []

    def run(self, root: Job[Any]) -> Any:
        """The value of the root, once every job has run."""
        flat, payload = flatten_root(root, keys.ROOT, Policy.of(self.config))
        self._add(flat.jobs, flat.kinds, payload)
        while left := [id for id, job in self.jobs.items() if job.value is None]:
            ready = [id for id in left if self._ready(id)]
            assert ready, f"nothing can run any more: {left}"
            self._attempt(ready[0])
        (top,) = flat.children
        root_value = self.jobs[top].value
        assert root_value is not None
        return pickling.load(root_value, self._values(self.jobs[top].value_needs))

    def place(self, request: str = "1-1", index: int = 0) -> Place:
        """Where an attempt runs."""
        tmp = self.folder / f"tmp-{request}-{index}"
        tmp.mkdir(exist_ok=True)
        return Place(request, tmp, lambda: self.store, self.setup, index)

    def _attempt(self, id: str) -> None:
        job = self.jobs[id]
        place = self.place(f"1-{len(self.order)}")
        task = Task(id, 0, job.body)
        before = os.getcwd()
        os.chdir(place.tmp)
        try:
            result, payload = attempt.run(task, job.kind, self._values(job.new.needs), place)
        finally:
            os.chdir(before)
        self.results.append(result)
        if result.failure is not None:
            raise JobFailed(result.failure)
        self.order.append(job.kind.name)
        job.value, job.value_needs = payload[slice(*result.value)], result.value_needs
        job.children += result.children
        job.follow_ons += result.follow_ons
        self._add(result.jobs, result.kinds, payload)
        self.store.delete(result.deleted)

    def _add(self, jobs: tuple[NewJob, ...], kinds: tuple[Kind, ...], payload: bytes) -> None:
        for new in jobs:
            assert new.id not in self.jobs
            self.jobs[new.id] = Known(new, kinds[new.kind], payload[slice(*new.body)], list(new.children), list(new.follow_ons))

    def _ready(self, id: str) -> bool:
        for before in self.jobs.values():
            if id in before.children and before.value is None:
                return False
            if id in before.follow_ons and not (before.value is not None and all(map(self._complete, before.children))):
                return False
        return all(self._has_value(need) for need in self.jobs[id].new.needs)

    def _complete(self, id: str) -> bool:
        job = self.jobs[id]
        return job.value is not None and all(map(self._complete, (*job.children, *job.follow_ons)))

    def _has_value(self, id: str) -> bool:
        job = self.jobs.get(id)
        if job is None:
            raise GraphError(f"no job {id}")
        return job.value is not None and all(map(self._has_value, job.value_needs))

    def _values(self, needs: tuple[str, ...]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        left = list(needs)
        while left:
            id = left.pop()
            if id not in found:
                value = self.jobs[id].value
                assert value is not None
                found[id] = value
                left.extend(self.jobs[id].value_needs)
        return found
