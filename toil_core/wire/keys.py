"""The names of the blobs in a job store, and the names of jobs and requests.

A request is `EPOCH-SEQUENCE`; both numbers grow, so an attempt's age shows in its name. A job
is `REQUEST.TASK.NUMBER` after the request whose commit made it and the number of the task in
that request that added it (one request may run several), or `0.NUMBER` when the user's program
made it before the run.
"""

from __future__ import annotations

WORKFLOW = "workflow"
"""What is run here; the first blob of a store, so a store without it is half made."""

LEADERS = "leader/"
CHECKPOINTS = "checkpoints/"
COMMITS = "commits/"
SETUPS = "setup/"
FILES = "files/"
LOGS = "logs/"
HISTORY = "history/"
LEARNED = "learned"
"""What jobs of each kind were measured to use."""
ROOT = "0"
"""Stands where a request's id would be for what the user's program made before the run."""


def leader(epoch: int) -> str:
    """The key whose creator is the leader of the epoch."""
    return f"{LEADERS}{epoch:08}"


def checkpoint(epoch: int, number: int) -> str:
    """The key of the graph as the epoch's leader wrote it for the number-th time."""
    return f"{CHECKPOINTS}{epoch:08}-{number:08}"


def history(epoch: int, number: int) -> str:
    """The key of what ended before that checkpoint and after the one before it."""
    return f"{HISTORY}{epoch:08}-{number:08}"


def page(epoch: int) -> str:
    """The key of what the epoch's leader tells others of its run."""
    return f"pages/{epoch:08}"


def kill(epoch: int) -> str:
    """The key whose blob asks the epoch's leader to end."""
    return f"kill/{epoch:08}"


def lease(epoch: int) -> str:
    """The key whose blob changes as long as the epoch's leader lives; only where workers need that."""
    return f"lease/{epoch:08}"


def commit(request: str, number: int) -> str:
    """The key whose creator decides what came of that part of the request."""
    return f"{COMMITS}{request}/{str(number).zfill(6)}"  # a format costs several times as much


def setup(epoch: int) -> str:
    """The key of what workers must know about the workflow in that epoch."""
    return f"{SETUPS}{epoch:08}"


def code(digest: str) -> str:
    """The key of the user's modules, packed; named by the SHA-256 of the blob."""
    return f"code/{digest}"


def execution(request: str, mark: str) -> str:
    """One execution of a request: one that is delivered twice runs twice, and one of them counts."""
    return f"{request}.{mark}" if mark else request


def log(job: str, execution: str) -> str:
    """The key of what an attempt printed in one execution of its request."""
    return f"{LOGS}{job}/{execution}"


def log_parts(key: str) -> tuple[str, str, str]:
    """Job, request and execution of a log's key."""
    job, _, execution = key.removeprefix(LOGS).rpartition("/")
    return job, execution.partition(".")[0], execution


def attempt_files(request: str, job: str) -> str:
    """The prefix of all files that one attempt writes, in whichever execution of its request."""
    return f"{FILES}{request}/{job}/"


def execution_files(request: str, job: str, mark: str) -> str:
    """The prefix of those that it writes in one execution, which the mark tells from any other."""
    return f"{attempt_files(request, job)}{mark}-" if mark else attempt_files(request, job)


def request(epoch: int, sequence: int) -> str:
    """The id of a request."""
    return f"{epoch}-{sequence}"


def request_order(request: str) -> tuple[int, int]:
    """Epoch and sequence of a request's id.

    Raises:
        ValueError: It is no such id.
    """
    epoch, _, sequence = request.partition("-")
    return int(epoch), int(sequence)


def commit_parts(key: str) -> tuple[str, int]:
    """Request and number of a commit's key.

    Raises:
        ValueError: It is no such key.
    """
    request, _, number = key.removeprefix(COMMITS).partition("/")
    return request, int(number)
