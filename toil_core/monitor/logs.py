"""The logs that a job store holds: whose they are, and their content."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from toil_core.errors import CorruptBlob, NoSuchKey, UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.graph import Graph
from toil_core.locators import quoted
from toil_core.monitor import status
from toil_core.wire import keys
from toil_core.wire.run import WorkflowInfo


@dataclass(frozen=True)
class Log:
    """What one attempt printed.

    Args:
        job: The job's id.
        request: The request that made the attempt.
        attempt: Which of the job's attempts that left a log this is, from 1.
        size: Bytes.
        name: The job's name; empty when the job is done and forgotten.
        reason: Why the attempt failed; known of the last failure of each job that is not done.
    """

    job: str
    request: str
    attempt: int
    size: int
    name: str = ""
    reason: str = ""


class Logs:
    """The logs of one workflow.

    Args:
        store: The job store.
        locator: What the user calls it.

    Raises:
        NoSuchJobStore: Nothing is stored there.
    """

    def __init__(self, store: JobStore, locator: str) -> None:
        self._store = store
        self.locator = locator
        self._info: WorkflowInfo | None = status.workflow_info(store, locator)
        self._graph: Graph | None = None

    def all(self) -> list[Log]:
        """Every log, oldest job first."""
        failures = self._known().failures
        jobs = self._known().jobs
        found = []
        for log in _numbered(self._store, keys.LOGS):
            failure = failures.get(log.job)
            known = failure is not None and failure.log == keys.log(log.job, log.request)
            name = jobs[log.job].kind.name if log.job in jobs else ""
            found.append(Log(log.job, log.request, log.attempt, log.size, name, failure.reason.value if failure and known else ""))
        return found

    def of(self, job: str) -> list[Log]:
        """The logs of one job, by its attempts.

        Args:
            job: The job's id, or a name that only one job with a log has.

        Raises:
            UsageError: There is no such job, or several have the name.
        """
        found = _numbered(self._store, f"{keys.LOGS}{job}/")
        return found or _numbered(self._store, f"{keys.LOGS}{self._named(job)}/")

    def id_of(self, job: str) -> str:
        """The id of a job given by its id or its name.

        Raises:
            UsageError: There is no such job, or several have the name.
        """
        return job if _numbered(self._store, f"{keys.LOGS}{job}/") else self._named(job)

    def open(self, log: Log) -> BinaryIO:
        """The content of a log, to be read bit by bit.

        Raises:
            UsageError: It was removed meanwhile.
        """
        try:
            return self._store.read(keys.log(log.job, log.request))
        except NoSuchKey:
            raise UsageError(f"the log of {log.job} has just been removed; look again") from None

    def failure_text(self, job: str) -> str:
        """Why the last attempt at the job failed; empty when nothing is known of that.

        Args:
            job: The job's id or name.
        """
        from toil_core.monitor.progress import reason_text

        failure = self._known().failures.get(self._named(job))
        return reason_text(failure.reason.value, failure.message) if failure else ""

    def node_of(self, job: str) -> str:
        """Where the job runs, as a leader at work told last; empty when it does not, or nobody knows.

        Args:
            job: The job's id or name.
        """
        from toil_core.monitor.glance import newest_page

        leader = status.leader_status(self._store)
        page = newest_page(self._store, leader.epoch) if leader.state in ("running", "unknown") else None
        id = self._named(job)
        return next((request.node for request in page.requests if request.first == id and request.started), "") if page else ""

    def _named(self, job: str) -> str:
        jobs, failures = self._known().jobs, self._known().failures
        if job in jobs:
            return job
        same = [state.id for state in jobs.values() if state.kind.name == job]
        with_logs = {log.job for log in _numbered(self._store, keys.LOGS)} if len(same) > 1 else set()
        for some in (same, [id for id in same if id in with_logs], [id for id in same if id in failures]):
            if len(some) == 1:
                return some[0]
        if same:
            raise UsageError(
                f"{len(same)} jobs are named {job!r}; say which one by its id: {_listed([id for id in same if id in with_logs] or same)}"
            )
        raise UsageError(f"no log is kept of a job {job!r} in {self.locator}{self._close(job)}")

    def _close(self, job: str) -> str:
        ids = [log.job for log in _numbered(self._store, keys.LOGS)]
        names = {state.kind.name for state in self._known().jobs.values()}
        close = difflib.get_close_matches(job, dict.fromkeys([*names, *ids]), 3)
        return f"; did you mean {_listed(close, ' or ')}?" if close else f"; `toil logs {quoted(self.locator)}` lists those that are"

    def _known(self) -> Graph:
        """The graph as far as the store tells; an empty one when it cannot be read."""
        if self._graph is None:
            self._graph = _read_graph(self._store, self._info)
        return self._graph


def _read_graph(store: JobStore, info: WorkflowInfo | None) -> Graph:
    if info is not None:
        setup = status.setup(store, epoch.last_epoch(store))
        try:
            return status.load(store, setup.options if setup else info.options)[0]
        except (CorruptBlob, NoSuchKey):  # logs are wanted most when something is broken
            pass
    return status.empty_graph()


def _numbered(store: JobStore, prefix: str) -> list[Log]:
    found: list[tuple[str, tuple[int, int], str, int]] = []
    for blob in store.list(prefix):
        job, _, request = blob.key.removeprefix(keys.LOGS).rpartition("/")
        found.append((job, keys.request_order(request), request, blob.size))
    found.sort(key=lambda item: (_age(item[0]), item[1]))
    logs: list[Log] = []
    for job, _, request, size in found:
        attempt = logs[-1].attempt + 1 if logs and logs[-1].job == job else 1
        logs.append(Log(job, request, attempt, size))
    return logs


def _age(job: str) -> tuple[int, ...]:
    return tuple(int(part) for part in job.replace("-", ".").split(".") if part.isdigit())


def _listed(words: Iterable[str], last: str = ", ", most: int = 5) -> str:
    words = list(words)
    return last.join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
