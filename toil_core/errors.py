"""Every error raised on purpose, and what the engine does about each.

ToilError
├── UsageError            the user must change something: one line, no traceback, exit code 2
│   ├── NoSuchDriver          nothing installed has the driver's name
│   ├── BadOption             an option's value cannot be used
│   ├── BadLocator            a job store's or a file's address cannot be used
│   ├── BadKey                a blob cannot have that name
│   ├── JobStoreExists        a new run was asked for where one is already stored
│   ├── NoSuchJobStore        there is no job store at the locator
│   ├── NotAJobStore          something else lives at the locator; it is left alone
│   ├── LeaderRunning         another leader works on the job store
│   ├── GraphError            the jobs cannot form a workflow (cycle, two roots, unresolvable promise)
│   ├── NotPicklable          something a job needs cannot be sent to a worker
│   ├── CannotDeploy          the workflow's own code cannot be sent to workers
│   ├── Unreachable           a node cannot be reached in the way that was asked for
│   │   ├── KeyRefused            it does not let this user in with these keys
│   │   └── HostKeyChanged        another host answers in its place
│   └── CannotCopy            a file cannot be copied to or from a node
│       └── NodeFull              no space is left on the node
├── CannotInstall         what the workflow needs installed cannot be installed on a worker
├── Transient             worth retrying: the core backs off and tries again
├── Unsupported           the driver cannot do this at all; never retried
├── StoreError            a job store said no; carries the key
│   ├── NoSuchKey
│   ├── KeyExists
│   ├── CorruptBlob           a blob is not what was written
│   ├── StoreFull             no space is left for the blob
│   ├── StoreReadOnly         its place cannot be written to any more
│   └── StoreInconsistent     others' changes show late, or it is being removed
├── LeaderReplaced        another leader took the job store over: this one stops
├── Interrupted           the user, or the system, asked the run to stop; it can be restarted
└── WorkflowFailed        jobs failed for good; the store is kept for --restart
"""

from __future__ import annotations

from collections.abc import Sequence


class ToilError(Exception):
    """Base of everything raised on purpose."""


class UsageError(ToilError):
    """The user asked for something that cannot work."""


class NoSuchDriver(UsageError):
    """No installed package provides the named driver."""


class BadOption(UsageError):
    """An option has a value that cannot be used."""


class BadLocator(UsageError):
    """An address of a job store or of a file cannot be used."""


class BadKey(UsageError):
    """A blob of a job store cannot have this name."""


class JobStoreExists(UsageError):
    """A new workflow was started on a job store that holds one."""


class NoSuchJobStore(UsageError):
    """No job store is at the locator."""


class NotAJobStore(UsageError):
    """What is at the locator was not made by us, so it is not touched."""


class LeaderRunning(UsageError):
    """Another leader works on this job store."""


class GraphError(UsageError):
    """The jobs do not form a workflow that can be run."""


class NotPicklable(UsageError):
    """A function, an argument or a return value cannot be sent to another process."""


class CannotInstall(ToilError):
    """A Python requirement of the workflow cannot be met on a worker."""


class CannotDeploy(UsageError):
    """The user's code is too large to be sent to workers, or cannot be read."""


class Unreachable(UsageError):
    """A node cannot be reached as things are: a program is missing, or nobody knows its name."""


class KeyRefused(Unreachable):
    """A node does not let this user in with these keys."""


class HostKeyChanged(Unreachable):
    """A host has another key than the node that it should be."""


class CannotCopy(UsageError):
    """A file or a folder cannot be copied to a node or from it."""


class NodeFull(CannotCopy):
    """No space is left on a node for what is copied there."""


class Transient(ToilError):
    """The backend failed in a way that may pass."""


class Unsupported(ToilError):
    """The backend has no such ability."""


class StoreError(ToilError):
    """A job store said no.

    Args:
        key: The key of the blob.
        message: What happened, when more is known than the kind of error.
    """

    def __init__(self, key: str, message: str = "") -> None:
        super().__init__(f"{message}: {key}" if message else key)
        self.key = key


class NoSuchKey(StoreError):
    """Nothing is stored under the key."""


class KeyExists(StoreError):
    """Another writer created the key first."""


class CorruptBlob(StoreError):
    """A blob is shorter than, or different from, what was written."""


class StoreFull(StoreError):
    """The place that holds the blobs is full."""


class StoreReadOnly(StoreError):
    """The place that holds the blobs can only be read."""


class StoreInconsistent(StoreError):
    """A place was taken, and yet nothing is listed there: the job store is being removed, or others see its changes late."""


class LeaderReplaced(ToilError):
    """Another leader took over the job store; this one has stopped."""


class Interrupted(ToilError):
    """The run was asked to stop before its end.

    Args:
        message: How far it is, and how to go on.
        exit_code: That of a process which the signal ended: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, message: str = "", exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class WorkflowFailed(ToilError):
    """Jobs failed for good.

    Args:
        message: What to show the user: which jobs, why, and what to do next.
        jobs: The ids of the failed jobs.
        exit_code: The exit code of the last failed job, or 1.
    """

    def __init__(self, message: str, jobs: Sequence[str] = (), exit_code: int = 1) -> None:
        super().__init__(message)
        self.jobs = tuple(jobs)
        self.exit_code = exit_code
