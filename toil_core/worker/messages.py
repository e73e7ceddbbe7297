"""What a worker host, its fork server and the forked attempts tell each other over one socket.

The socket keeps message boundaries, and attempts, slots and fork server write to the same end,
so an attempt's results arrive before the news of its end; small ones lie in a file in memory until
its slot tells both at once. What is too large for a
message travels in a file, and the message holds its path. All but the host know the socket by its
file descriptor alone: the module `socket` would be copied, in pages, for every attempt.
"""

from __future__ import annotations

import os
import struct

import msgspec

from toil_core.batch_system import Reason, Usage
from toil_core.wire.jobs import Kind
from toil_core.wire.work import Setup, Task

INLINE = 96 * 1024
"""The largest message; what is larger is spilled into a file."""
TOLD = 4096
"""The largest item that travels with the news of its process's end."""

LARGEST = INLINE + 1024
"""What to read at once, so that every message is read whole."""
_SPILLED = b"\0"
_SIZE = struct.Struct("<I")
_PIECE = 65536


class Open(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """The first message to a fork server.

    Args:
        run: The host's own folder; its path marks every process that belongs to the host.
        folder: The fork server's part of it.
        store: Locator of the job store.
        setup: What workers must know of the workflow.
        tolerance: By what share of its request an attempt may exceed its memory.
        keep_logs: Whether what successful attempts print is kept.
        cache: Folder of the node's cache; empty when there is none.
        live: Whether what jobs tell the user can be passed on while they run.
    """

    run: str
    folder: str
    store: str
    setup: Setup
    tolerance: float
    keep_logs: bool
    cache: str = ""
    live: bool = False


class Spec(msgspec.Struct, array_like=True, frozen=True):
    """One task of a batch.

    Args:
        index: Its number in the work.
        kind: Index in the batch's kinds.
        task: The task; everything in it is at hand.
    """

    index: int
    kind: int
    task: Task


class Batch(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """Tasks to run one after another in one slot.

    Args:
        work: The host's number for the request.
        slot: Which slot; one batch at a time is in it.
        request: The request's id.
        isolated: Whether each task gets a process of its own.
        cores: Cores of the request.
        environment: Variables to add.
        kinds: The kinds of the tasks.
        specs: The tasks.
        mark: Tells this execution of the request from any other.
    """

    work: int
    slot: int
    request: str
    isolated: bool
    cores: float
    environment: dict[str, str]
    kinds: tuple[Kind, ...]
    specs: tuple[Spec, ...]
    mark: str = ""


class Part(msgspec.Struct, array_like=True, frozen=True):
    """The beginning of a `Spec`."""

    index: int
    kind: int


class Outline(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """A batch as the fork server reads it, who has no use for the tasks."""

    work: int
    slot: int
    request: str
    isolated: bool
    cores: float
    environment: dict[str, str]
    kinds: tuple[Kind, ...]
    specs: tuple[Part, ...]


class Kill(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """End the work's running attempt and forget its other tasks."""

    work: int


class Interrupt(msgspec.Struct, array_like=True, frozen=True, tag=10):
    """Send SIGTERM to the work's running attempt."""

    work: int


class Ready(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """The fork server has loaded the user's modules, or could not.

    Args:
        error: Why it could not, in a line; empty when it could.
        trace: The traceback.
    """

    error: str = ""
    trace: str = ""


class Item(msgspec.Struct, array_like=True, frozen=True):
    """What came of one task.

    Args:
        index: The task's number in the work.
        ok: Whether it succeeded.
        result: The encoded result.
        payload: What the result's spans speak of.
        usage: What it used, when it shared its process.
        log: What it printed, when it shared its process and this is wanted.
        up: Whether this says that a service is up, which goes on.
    """

    index: int
    ok: bool
    result: bytes
    payload: bytes
    usage: Usage | None = None
    log: bytes = b""
    up: bool = False


class Results(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """Results of a work's tasks, from the process that ran them; but see `Ended.told`."""

    work: int
    items: tuple[Item, ...]


class Ended(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """A forked process of a work has ended, with everything that it left running.

    Args:
        work: The host's number for the request.
        index: The task that it ran last; -1 for none.
        status: Its wait status.
        wall: Seconds from start to end.
        cpu: Processor seconds.
        memory: Bytes of memory at the peak, beyond what the fork server itself holds.
        read: Bytes read from block devices.
        written: Bytes written to block devices.
        started: When, in seconds since 1970.
        verdict: Why the fork server ended it, or the kernel when that can be told.
        opened: Whether it opened the job store.
        log: File with what it printed; empty when nothing is to be kept.
        trash: Folder with the temporary files that it left; empty when there are none.
        disk: The most bytes that its folder was seen to take while it ran.
        told: What came of a task that had the process for itself: its encoded `Item`, when that is small.
    """

    work: int
    index: int
    status: int
    wall: float
    cpu: float
    memory: int
    read: int
    written: int
    started: float
    verdict: Reason | None
    opened: bool
    log: str
    trash: str
    disk: int = 0
    told: bytes = b""


class Left(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """The slot has left out the rest of the batch, because the work was cancelled."""

    work: int


class Lost(msgspec.Struct, array_like=True, frozen=True, tag=8):
    """The slot of the work's batch was ended from outside, and all that ran there with it.

    Args:
        work: The host's number for the request.
        deferred: The file with what its attempt left to do; empty when there is none.
    """

    work: int
    deferred: str = ""


class Said(msgspec.Struct, array_like=True, frozen=True, tag=9):
    """A running attempt has something to tell the user.

    Args:
        work: The host's number for the request.
        index: The task's number in the work.
        level: A level of the logging module.
        text: What it says.
    """

    work: int
    index: int
    level: int
    text: str


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
to_server = msgspec.msgpack.Decoder(Open | Outline | Kill | Interrupt)
to_slot = msgspec.msgpack.Decoder(Batch)
to_item = msgspec.msgpack.Decoder(Item)
to_host = msgspec.msgpack.Decoder(Ready | Results | Ended | Left | Lost | Said)


def pack(message: bytes, spill: str) -> bytes:
    """The message as it can be sent.

    Args:
        message: The encoded message.
        spill: Path of a file, not there yet, to put a large message into.
    """
    if len(message) <= INLINE:
        return message
    fd = os.open(spill, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(message)
    return _SPILLED + os.fsencode(spill)


def unpack(data: memoryview | bytes) -> memoryview | bytes:
    """The encoded message that was packed; a file that held it is removed."""
    if data[:1] != _SPILLED:
        return data
    path = os.fsdecode(bytes(data[1:]))
    with open(path, "rb") as file:
        message = file.read()
    os.unlink(path)
    return message


def put(pipe: int, message: memoryview | bytes) -> None:
    """Write the message into a pipe, however large it is.

    Raises:
        BrokenPipeError: Nobody can read it any more.
    """
    left = memoryview(b"".join((_SIZE.pack(len(message)), message)))
    while left:
        left = left[os.write(pipe, left) :]


def take(pipe: int) -> bytes:
    """The next message that `put` wrote into the pipe; empty when nobody can write one any more."""
    head = os.read(pipe, _SIZE.size)
    if not head:
        return b""
    (left,) = _SIZE.unpack(head)
    parts = []
    while left:
        part = os.read(pipe, min(left, _PIECE))
        if not part:
            return b""
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
