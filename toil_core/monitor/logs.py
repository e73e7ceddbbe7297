"""The logs that a job store holds: whose they are, and their content."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from toil_core.errors import CorruptBlob, NoSuchKey, UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.checkpoints import Found
from toil_core.leader.graph import Graph
from toil_core.locators import quoted
from toil_core.monitor import history, status
from toil_core.wire import keys
from toil_core.wire.run import WorkflowInfo


@dataclass(frozen=True)
class Log:
    """What one attempt printed in one execution of its request.

    Args:
        job: The job's id.
        request: The request that made the attempt.
        execution: Which execution of the request; a request that is delivered twice runs twice.
        attempt: Which of the job's attempts that left a log this is, from 1.
        size: Bytes.
        name: The job's name; empty when nothing that can be read tells it.
        reason: Why the attempt failed; known of the last failure of each job that is not done.
        counts: False when other executions of the request left a log too, and nothing tells that this is the one that counted.
    """

    job: str
    request: str
    execution: str
    attempt: int
    size: int
    name: str = ""
    reason: str = ""
    counts: bool = True


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
        self._read: tuple[Graph, Found] | None = None
        self._past: tuple[frozenset[str], dict[str, str]] | None = None

    def all(self, job: str = "") -> list[Log]:
        """Every log, oldest job first.

        Args:
            job: The id of the job whose logs alone are wanted.
        """
        failures = self._known().failures
        jobs = self._known().jobs
        found = []
        for log in self._judged(f"{keys.LOGS}{job}/" if job else keys.LOGS):
            failure = failures.get(log.job)
            known = failure is not None and failure.log == keys.log(log.job, log.execution)
            name = jobs[log.job].kind.name if log.job in jobs else self._told()[1].get(log.job, "")
            found.append(replace(log, name=name, reason=failure.reason.value if failure and known else ""))
        return found

    def of(self, job: str) -> list[Log]:
        """The logs of one job, by its attempts.

        Args:
            job: The job's id, or a name that only one job with a log has.

        Raises:
            UsageError: There is no such job, or several have the name.
        """
        found = self._judged(f"{keys.LOGS}{job}/")
        return found or self._judged(f"{keys.LOGS}{self._named(job)}/")

    def id_of(self, job: str) -> str:
        """The id of a job given by its id or its name.

        Raises:
            UsageError: There is no such job, or several have the name.
        """
        return job if _numbered(self._store, f"{keys.LOGS}{job}/") else self._named(job)

    def name_of(self, job: str) -> str:
        """The name of a job that is not done; empty when nothing that can be read tells it.

        Args:
            job: The job's id.
        """
        state = self._known().jobs.get(job)
        return state.kind.name if state else ""

    def open(self, log: Log) -> BinaryIO:
        """The content of a log, to be read bit by bit.

        Raises:
            UsageError: It was removed meanwhile.
        """
        try:
            return self._store.read(keys.log(log.job, log.execution))
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
        same = same or [id for id, name in self._told()[1].items() if name == job]  # they are done, and forgotten
        with_logs = {log.job for log in _numbered(self._store, keys.LOGS)} if len(same) > 1 else set()
        for some in (same, [id for id in same if id in with_logs], [id for id in same if id in failures]):
            if len(some) == 1:
                return some[0]
        if same:
            raise UsageError(
                f"{len(same):,} jobs are named {job!r}; say which one by its id: {_listed([id for id in same if id in with_logs] or same)}"
            )
        raise UsageError(f"no log is kept of a job {job!r} in {self.locator}{self._close(job)}")

    def _close(self, job: str) -> str:
        ids = [log.job for log in _numbered(self._store, keys.LOGS)]
        names = {state.kind.name for state in self._known().jobs.values()}
        close = difflib.get_close_matches(job, dict.fromkeys([*names, *ids]), 3)
        return f"; did you mean {_listed(close, ' or ')}?" if close else f"; `toil logs {quoted(self.locator)}` lists those that are"

    def _judged(self, prefix: str) -> list[Log]:
        """The logs under the prefix; of those that share a request it is told which one counts."""
        found = _numbered(self._store, prefix)
        executions = Counter((log.job, log.request) for log in found)
        if len(executions) == len(found):
            return found
        return [
            replace(log, counts=keys.log(log.job, log.execution) in self._told()[0]) if executions[log.job, log.request] > 1 else log for log in found
        ]

    def _told(self) -> tuple[frozenset[str], dict[str, str]]:
        """The keys of all logs that commits tell of, and the names of their jobs."""
        if self._past is None:
            attempts = [attempt for attempt in history.of(self._store, *self._graph(), []) if attempt.log]
            self._past = frozenset(attempt.log for attempt in attempts), {attempt.job: attempt.name for attempt in attempts}
        return self._past

    def _known(self) -> Graph:
        """The graph as far as the store tells; an empty one when it cannot be read."""
        return self._graph()[0]

    def _graph(self) -> tuple[Graph, Found]:
        if self._read is None:
            self._read = _read_graph(self._store, self._info)
        return self._read


def _read_graph(store: JobStore, info: WorkflowInfo | None) -> tuple[Graph, Found]:
    if info is not None:
        setup = status.setup(store, epoch.last_epoch(store))
        try:
            return status.load(store, setup.options if setup else info.options)
        except (CorruptBlob, NoSuchKey):  # logs are wanted most when something is broken
            pass
    return status.empty_graph(), Found()


def _numbered(store: JobStore, prefix: str) -> list[Log]:
    found = [(*keys.log_parts(blob.key), blob.size) for blob in store.list(prefix)]
    found.sort(key=lambda item: (_age(item[0]), keys.request_order(item[1]), item[2]))
    logs: list[Log] = []
    for job, request, execution, size in found:
        last = logs[-1] if logs and logs[-1].job == job else None
        attempt = 1 if last is None else last.attempt + (last.request != request)
        logs.append(Log(job, request, execution, attempt, size))
    return logs


def _age(job: str) -> tuple[int, ...]:
    return tuple(int(part) for part in job.replace("-", ".").split(".") if part.isdigit())


def _listed(words: Iterable[str], last: str = ", ", most: int = 5) -> str:
    words = list(words)
    return last.join(words[:most]) + (f" and {len(words) - most:,} more" if len(words) > most else "")
