"""One job run here, in this process, in a folder that stays, without any effect on its workflow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from toil_core.batch_system import Requirement
from toil_core.drivers.file import FileJobStore
from toil_core.errors import StoreError, UsageError
from toil_core.job_store import JobStore
from toil_core.leader.graph import Graph
from toil_core.leader.state import JobState, closure
from toil_core.locators import quoted
from toil_core.monitor import status
from toil_core.monitor.overlay import Overlay
from toil_core.options import Config
from toil_core.wire import commits
from toil_core.wire.jobs import Failure, Kind, Ref
from toil_core.wire.work import Setup, Task
from toil_core.worker import modules
from toil_core.worker.deployment import install
from toil_core.worker.runner import Place
from toil_core.worker.shelf import Shelf

REQUEST = "debug"
"""Stands where a request's id would be."""


class JobInfo(msgspec.Struct, frozen=True):
    """A job that can be run here.

    Args:
        job: Its id.
        name: Its name.
        requirement: What it asks for.
        needs: The jobs whose values it is given.
        above: Its predecessors.
        tries: Attempts that counted.
        failure: Why the last one failed; None when none did.
        services: The services that run for it while a leader is at work.
    """

    job: str
    name: str
    requirement: Requirement
    needs: tuple[str, ...]
    above: tuple[str, ...]
    tries: int
    failure: Failure | None
    services: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What came of it.

    Args:
        folder: Where it ran; `tmp` was its working directory, `store` holds the blobs that it wrote.
        failure: Why it failed; None when it did not.
        value: Its return value as Python shows it; empty when it failed, or promises values of jobs that it added.
        added: Names of the jobs that it added.
        messages: What it told the user.
    """

    folder: str
    failure: Failure | None
    value: str
    added: tuple[str, ...]
    messages: tuple[str, ...]


class Rerun:
    """A job of a workflow, ready to be run here.

    Args:
        store: The job store; it is only read.
        locator: What the user calls it.
        job: The job's id, or a name that only one job that has not run has.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: There is no such job, or it has run already.
    """

    def __init__(self, store: JobStore, locator: str, job: str) -> None:
        told, graph, _ = status.examine_graph(store, locator)
        self._store = store
        self._state = state = _found(graph, job, locator)
        self._setup, self._locator = status.setup(store, told.leader.epoch), locator
        self.kind: Kind = state.kind
        above, needs = tuple(each.id for each in state.above), tuple(each.id for each in state.needs)
        services = tuple(f"{each.job.kind.name} {each.job.id}" for crew in graph.services.above(state) for each in crew.services)
        self.info = JobInfo(state.id, state.kind.name, state.kind.requirement, needs, above, state.tries, graph.failures.get(state.id), services)

    def task(self) -> Task:
        """The job with its inputs.

        Raises:
            UsageError: It is a service, or values that it needs are not there.
        """
        state, name = self._state, f"{self.info.name} {self.info.job}"
        if self.kind.service:
            raise UsageError(f"{name} is a service: it runs beside other jobs, not by itself; call its function in a script of your own to try it")
        missing = next((need for need in state.needs if not need.resolved), None)
        if missing is not None:
            asked = f"`toil why {quoted(self._locator)} {state.id}`"
            raise UsageError(f"{name} cannot run yet: the value of {missing.kind.name} {missing.id} is not there; see {asked}")
        assert state.body is not None
        values = tuple((id, _bytes(self._store, value)) for id, value in closure(state.needs))
        return Task(state.id, 0, _bytes(self._store, state.body), values, state.tries + 1)

    @property
    def setup(self) -> Setup:
        """Where its function is, and what else a worker would know.

        Raises:
            UsageError: No leader has told that yet.
        """
        if self._setup is None:
            raise UsageError(f"no leader has taken up the workflow on {self._locator} yet, so it is not known where its functions are")
        return self._setup

    def run(self, folder: Path, through: Callable[[Callable[[], Any]], Any] | None = None) -> Outcome:
        """Run the job in this process, which is not fit for anything else afterwards.

        The user's script is loaded as workers load it. What the job prints goes where this process prints.

        Args:
            folder: An empty folder; it is kept.
            through: Calls the job's function; for debuggers.

        Raises:
            UsageError: It is not known where its function is, it is a service, or values that it needs are not there.
        """
        from toil_core.worker import attempt

        task, setup, tmp = self.task(), self.setup, folder / "tmp"
        tmp.mkdir()
        here = FileJobStore(str(folder / "store"), Config())
        here.prepare()
        overlay = Overlay(self._store, here)
        if setup.code is not None or setup.python_requirements:
            setup = install(overlay, setup, Shelf(folder), str(folder))
        os.environ.update(setup.environment, TMPDIR=str(tmp))
        modules.load(setup)
        os.chdir(tmp)
        place = Place(REQUEST, tmp, lambda: overlay, setup, defer=lambda name, call: None)
        result, payload = attempt.run(task, self.kind, dict(task.values), place, through=through)  # type: ignore[arg-type]
        shown = ""
        if result.failure is None and not result.value_needs:
            from toil_core.workflow import pickling

            shown = repr(pickling.load(payload[slice(*result.value)], {}))
        added = tuple(result.kinds[job.kind].name for job in result.jobs)
        return Outcome(str(folder), result.failure, shown, added, tuple(text for _, text in result.messages))


def _found(graph: Graph, job: str, locator: str) -> JobState:
    state = graph.jobs.get(job)
    if state is None:
        same = [each for each in graph.jobs.values() if each.kind.name == job and each.body is not None]
        if len(same) > 1:
            shown = ", ".join(each.id for each in same[:5])
            raise UsageError(f"{len(same):,} jobs that have not run are named {job!r}; say which one by its id: {shown}")
        state = same[0] if same else None
    if state is None and any(kind == job for kind in graph.tallies):
        raise UsageError(f"every job named {job!r} in {locator} has succeeded, and nothing is kept to run them again")
    if state is None:
        asked = f"`toil status {quoted(locator)}` lists names, `toil why {quoted(locator)} {quoted(job)}` tells whether it is done"
        raise UsageError(f"there is no job {job!r} in {locator} that has not succeeded yet; {asked}")
    if state.body is None:
        raise UsageError(f"{state.kind.name} {state.id} has succeeded, and nothing is kept to run it again")
    return state


def _bytes(store: JobStore, held: bytes | Ref) -> bytes:
    if not isinstance(held, Ref):
        return held
    try:
        return commits.fetch(store, held)
    except StoreError as error:
        raise UsageError(f"what the job needs cannot be read: {error}") from None
