"""Every exception that scripts catch, each also the core's own error of that meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toil_core.errors import BadLocator, GraphError, JobStoreExists, NoSuchJobStore, NoSuchKey, ToilError, UsageError, WorkflowFailed
from toil_core.sizes import count

if TYPE_CHECKING:
    from collections.abc import Sequence


class JobException(GraphError):
    """Jobs were put together in a way that cannot run.

    Args:
        message: What is wrong.
    """


class JobGraphDeadlockException(JobException):
    """The jobs form no graph that can run: a circle, several roots, a checkpoint job with successors."""


class JobPromiseConstraintError(GraphError, RuntimeError):
    """A promise is used of a job that is not part of the graph.

    Args:
        promisingJob: The job whose value is promised.
        recipientJob: The job that is to be given it, if it is known.
    """

    def __init__(self, promisingJob: Any, recipientJob: Any = None) -> None:
        to = "" if recipientJob is None else f" by {recipientJob}"
        super().__init__(f"the value of {promisingJob} is used{to}, but it was never added to the graph: add it as a child or follow-on")
        self.promisingJob = promisingJob
        self.recipientJob = recipientJob


class ConflictingPredecessorError(GraphError):
    """A job was added to another one twice.

    Args:
        predecessor: The job that it was added to.
        successor: The job that was added.
    """

    def __init__(self, predecessor: Any, successor: Any) -> None:
        super().__init__(f"{successor} was added to {predecessor} already")
        self.predecessor = predecessor
        self.successor = successor


class FailedJobsException(WorkflowFailed):
    """Jobs failed for good; the workflow can be restarted.

    Args:
        jobStoreLocator: The job store.
        failedJobs: The failed jobs.
        jobStore: Not used.
        exit_code: The exit code of the last failed job, or 1.
        message: What to show the user.
    """

    def __init__(self, jobStoreLocator: Any, failedJobs: Sequence[Any] = (), jobStore: Any = None, exit_code: int = 1, message: str = "") -> None:
        jobs = [str(job) for job in failedJobs]
        super().__init__(message or f"{count(len(jobs), 'job')} of {jobStoreLocator} failed: {', '.join(jobs)}", jobs, exit_code)
        self.jobStoreLocator = jobStoreLocator
        self.numberOfFailedJobs = len(jobs)


class DeadlockException(WorkflowFailed):
    """Only services run, and none of the jobs that they are for can.

    Args:
        msg: What waits for what.
    """

    def __init__(self, msg: str = "") -> None:
        super().__init__(msg)
        self.msg = msg


class ToilRestartException(UsageError):
    """A new run was asked for with `--restart`, or a restart without it."""


class ToilContextManagerException(UsageError):
    """The workflow was used outside of a `with Toil(options) as toil:` block."""

    def __init__(self) -> None:
        super().__init__("use Toil as a context manager: `with Toil(options) as toil:`")


class LocatorException(UsageError):
    """Something is wrong with a job store.

    Args:
        error_msg: What.
        locator: The job store.
        prefix: The name of its driver.
    """

    def __init__(self, error_msg: str, locator: str, prefix: str | None = None) -> None:
        super().__init__(error_msg)
        self.locator = locator
        self.prefix = prefix


class JobStoreExistsException(LocatorException, JobStoreExists):
    """A new workflow was started on a job store that holds one."""

    def __init__(self, locator: str, prefix: str | None = None, message: str = "") -> None:
        super().__init__(message or f"{locator} holds a workflow already", locator, prefix)


class NoSuchJobStoreException(LocatorException, NoSuchJobStore):
    """No job store is at the locator."""

    def __init__(self, locator: str, prefix: str | None = None, message: str = "") -> None:
        super().__init__(message or f"there is no job store at {locator}", locator, prefix)


class NoSuchFileException(NoSuchKey):
    """A file is not, or no longer, in the job store.

    Args:
        jobStoreFileID: Its id.
        customName: What it is called.
        extra: Not used.
    """

    def __init__(self, jobStoreFileID: str, customName: str | None = None, *extra: Any) -> None:
        super().__init__(str(jobStoreFileID), f"file '{customName or str(jobStoreFileID).rpartition('/')[2]}' is not in the job store")


class NoSuchJobException(ToilError):
    """A job is not in the job store."""


class InvalidImportExportUrlException(BadLocator, FileNotFoundError):
    """A URL cannot be read or written: nothing is there, or nothing installed opens it."""


class IllegalDeletionCacheError(OSError):
    """A local copy was to be deleted that the job was never given."""
