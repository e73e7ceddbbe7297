"""What a worker is told: the work of one request, and the setup shared by all requests of an epoch."""

from __future__ import annotations

from typing import Any

import msgspec

from toil_core.wire.jobs import Kind, Ref


class Task(msgspec.Struct, frozen=True, array_like=True):
    """One attempt at one job.

    Args:
        job: The job's id.
        kind: Index in the work's table of kinds.
        body: The function and its arguments, or where they lie.
        values: The values that the promises in the body stand for, by producer; and those that
            these values hold promises of in turn.
        attempt: Which try this is, from 1.
        after: Index of the task of the same work that must succeed first and whose value
            belongs to `values`; -1 for none.
    """

    job: str
    kind: int
    body: bytes | Ref
    values: tuple[tuple[str, bytes | Ref], ...] = ()
    attempt: int = 1
    after: int = -1


class Work(msgspec.Struct, frozen=True, array_like=True):
    """The work of one request: tasks that run one after another in one slot.

    Args:
        request: The request's id.
        store: Locator of the job store, as workers reach it.
        setup: Key of the setup blob.
        kinds: The kinds of the tasks.
        tasks: What to run, in order.
        chain: Whether a task's only successor may go on in the same request.
    """

    request: str
    store: str
    setup: str
    kinds: tuple[Kind, ...]
    tasks: tuple[Task, ...]
    chain: bool = False


class Code(msgspec.Struct, frozen=True):
    """The user's modules, packed into a blob of the job store.

    Args:
        digest: SHA-256 of the blob, in hexadecimal; it makes the blob's key.
        script: The main script in the archive; empty when there is none.
        path: Folders in the archive to import from, first to last.
        namespaces: Top-level packages in it that have no `__init__.py`.
    """

    digest: str
    script: str = ""
    path: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class Estimate(msgspec.Struct, frozen=True, array_like=True):
    """What jobs of one name should be given, by what they used before.

    Args:
        memory: Bytes of memory.
        disk: Bytes of temporary disk.
        wall_time: Seconds.
    """

    memory: int
    disk: int
    wall_time: float


class Setup(msgspec.Struct, frozen=True):
    """What every worker of an epoch must know.

    Args:
        workflow: The workflow's id.
        runner: `module:function` that runs one task in a process of its own; see
            `toil_core.worker.runner` for its shape.
        script: Absolute path of the user's main script; empty when there is none.
        module: Dotted name of the user's main module when it was started with `-m`.
        modules: Dotted names of other modules that define jobs, for a worker to import once instead of for each job.
        path: Folders to import from, first to last.
        environment: Variables to set for every job; no secrets.
        options: The run's options as saved, for drivers and the worker itself.
        estimates: What jobs should be given when they do not say, by name.
        job_hooks: Whether plugins want to be called before or after jobs, in their processes.
        code: The user's modules, which stand in for `script` and `path`; None when these are used where they lie.
        log_level: From which level up what jobs say through the logging module is shown while they run; empty for none of it.
        python_requirements: Lines of a pip requirements file: what has to be installed where jobs run.
    """

    workflow: str = ""
    runner: str = "toil_core.worker.attempt:run"
    script: str = ""
    module: str = ""
    modules: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    options: dict[str, Any] = {}
    job_hooks: bool = False
    estimates: dict[str, Estimate] = {}
    code: Code | None = None
    log_level: str = ""
    python_requirements: tuple[str, ...] = ()


_work = msgspec.msgpack.Decoder(Work)
_encoder = msgspec.msgpack.Encoder()
_setup = msgspec.msgpack.Decoder(Setup)


def encode(record: Work | Setup) -> bytes:
    """The bytes to send or to store."""
    return _encoder.encode(record)


def decode_work(data: bytes) -> Work:
    """The work that the bytes hold."""
    return _work.decode(data)


def decode_setup(data: bytes) -> Setup:
    """The setup that the bytes hold."""
    return _setup.decode(data)
