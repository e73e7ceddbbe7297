"""The batch system contract: take work, many pieces at a time, and say how each fares.

A request is one attempt. It carries its resources and its work as opaque bytes for
`toil_core.worker`; an engine that can only run a command gets one from `toil_core.worker`
that fetches the same bytes from the job store.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol, runtime_checkable

import msgspec

from toil_core.closing import Closing


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A kind of device and how many of it.

    Args:
        count: How many devices.
        kind: What they are, `gpu` for example.
        model: The exact model when it matters, else empty.
        brand: The maker when it matters, else empty.
        api: The programming interface that must work (`cuda`, `rocm`), else empty.
    """

    count: int = 1
    kind: str = "gpu"
    model: str = ""
    brand: str = ""
    api: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a job needs of a machine while it runs.

    Args:
        cores: Processor cores; fractions are allowed.
        memory: Bytes of memory.
        disk: Bytes of temporary disk.
        preemptible: Whether a machine that may be taken away will do.
        accelerators: Devices, all of them at once.
        wall_time: Seconds after which the attempt is ended; None for no limit.
    """

    cores: float = 1.0
    memory: int = 0
    disk: int = 0
    preemptible: bool = False
    accelerators: tuple[Accelerator, ...] = ()
    wall_time: float | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What was used, as measured where it ran.

    Args:
        wall: Seconds from start to end.
        cpu: Processor seconds, user and system, of the attempt and its children.
        memory: Bytes of memory at the peak.
        disk: Bytes of temporary disk at the end, or more when more was seen before.
        read: Bytes read from block devices.
        written: Bytes written to block devices.
        started: When it started, in seconds since 1970.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    disk: int = 0
    read: int = 0
    written: int = 0
    started: float = 0.0


class State(Enum):
    """Where a request is; a request that was submitted and has no update yet is waiting."""

    RUNNING = "running"
    COMMITTED = "committed"
    """A commit was made and the request goes on (a batch, or a chain)."""
    ENDED = "ended"


class Reason(Enum):
    """Why an attempt did not succeed. The text is what users read."""

    FAILED = "failed"
    """The job's own error, or an exit code other than 0."""
    OUT_OF_MEMORY = "out of memory"
    OVER_TIME = "over time"
    OUT_OF_DISK = "out of disk"
    KILLED = "killed"
    """A signal that we did not send."""
    NODE_LOST = "node lost"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    TOO_BIG = "can never fit"
    """No machine of this batch system is, or can become, large enough."""


class Request(msgspec.Struct, frozen=True):
    """One attempt at one job, or at a batch of small ones.

    Args:
        id: Unique for ever; letters, digits, `-`, `_` and `.`.
        name: What to call it in the engine's own tools.
        requirement: What it needs while it runs.
        work: What to run, opaque to the batch system.
        environment: Variables to add for the worker; never a secret.
        lasting: Whether it ends only once other requests have, as a service does: nothing may be kept waiting for its end.
    """

    id: str
    name: str
    requirement: Requirement
    work: bytes
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    lasting: bool = False

    def __repr__(self) -> str:
        return f"Request(id={self.id!r}, name={self.name!r}, requirement={self.requirement!r}, environment={self.environment!r})"


class Update(msgspec.Struct, frozen=True):
    """News of one request.

    Args:
        id: The request.
        state: Where it is now. After ENDED no more news comes.
        reason: None when all went well. A reason here speaks of the request as a whole (its
            node was lost, it can never fit, its host died); the fate of each job is in the commit.
        exit_code: Of the worker or command, when there was one.
        message: A line for the user, when there is something to say.
        node: Address or name of the machine. When a request was cancelled and nobody told that it was running, then a node, an
            exit code, a usage or a number of commits say that it had started all the same; without any of these it never did.
        usage: What the request used, when known.
        commit: The bytes of the commit blob just made, when the engine can carry them.
        number: Which of the request's commits that is, from 0; when `commit` is None and the
            worker committed, the leader reads it from the job store.
        commits: How many commits the request made in all; told with ENDED, None when unknown.
        messages: What running jobs tell the user: the job's id and name, a level of the logging module, and the text. Such
            news comes with RUNNING, and says nothing else. What comes this way is in no commit.
    """

    id: str
    state: State
    reason: Reason | None = None
    exit_code: int | None = None
    message: str = ""
    node: str = ""
    usage: Usage | None = None
    commit: bytes | None = None
    number: int = 0
    commits: int | None = None
    messages: tuple[tuple[str, str, int, str], ...] = ()

    def __repr__(self) -> str:
        told = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "commit")
        return f"Update({', '.join(f'{name}={value!r}' for name, value in told)})"


class BatchSystem(Closing):
    """Four primitives, event-driven and many at a time. The core owns retries and limits on tries.

    Ending every worker when the leader is gone is the driver's duty wherever the engine allows it.
    """

    backlog: ClassVar[int] = 200
    """How many requests the driver likes to hold; the leader keeps the rest. Services come besides, and up to as many again for which services run:
    those should start although others, for which there is no room, have waited for longer."""
    needs_lease: ClassVar[bool] = False
    """Whether workers live on when the leader has died. The leader then shows in the job store that it lives, and
    `python -m toil_core.worker` ends when it was silent for too long."""

    here: ClassVar[bool] = False
    """Whether jobs run on the leader's machine, with its Python and its files: then the user's code is used where it lies."""

    @abstractmethod
    def submit(self, requests: Sequence[Request]) -> None:
        """Take the requests; never blocks for their end. An id that was submitted before is ignored.

        What can never run here is answered by an ENDED update with reason TOO_BIG and a message
        that names the dimension (cores, memory, disk, accelerators) and the largest machine.
        """

    @abstractmethod
    def updates(self, seconds: float | None = None) -> list[Update]:
        """Everything that happened since the last call, in order.

        Returns at once when anything has happened or happens, else when the seconds are over
        (None: no limit) with an empty list. After `close` it returns at once.
        """

    @abstractmethod
    def cancel(self, ids: Iterable[str]) -> None:
        """End these requests, with all their processes; each gives an ENDED update with reason CANCELLED.

        Ended and unknown ones are harmless.
        """

    @abstractmethod
    def close(self) -> None:
        """End everything that runs here and let go; no process is left. Doing it twice is harmless."""


@runtime_checkable
class HasNodes(Protocol):
    """A batch system whose nodes a provisioner may add and remove."""

    def loads(self) -> Mapping[str, int]:
        """For each node's address, how many requests run there."""
        ...

    def drain(self, addresses: Iterable[str]) -> None:
        """Start nothing more on these nodes."""
        ...


@runtime_checkable
class CanInterrupt(Protocol):
    """A batch system that can ask a request to end in good order, which is how services are stopped."""

    def interrupt(self, ids: Iterable[str], seconds: float) -> None:
        """Send SIGTERM to what the requests run; what they commit then counts.

        What has not ended after so many seconds is ended as by `cancel`, and what has not started at once.
        Ended and unknown requests are harmless.
        """
        ...


@runtime_checkable
class HasMisfits(Protocol):
    """A batch system whose machines come and go, and that knows which requests wait for a larger one."""

    def misfits(self) -> Mapping[str, str]:
        """For each request that would fit none of the present machines even if they were empty: which dimension is too large, and the largest machine."""
        ...


@runtime_checkable
class HasLogs(Protocol):
    """A batch system that keeps what its jobs printed outside the worker's own log."""

    def log(self, id: str) -> str:
        """What is known of the request's output; empty when nothing is."""
        ...


@runtime_checkable
class HasSlots(Protocol):
    """A batch system that knows how large it is now."""

    def slots(self) -> float:
        """How many cores there are in all; the leader sizes batches by it, and asks often, so this answers at once."""
        ...


@runtime_checkable
class HasCapacity(HasSlots, Protocol):
    """A batch system that knows the machines it runs on, and gets no others."""

    def capacity(self) -> Requirement:
        """The largest request that it could ever run."""
        ...
