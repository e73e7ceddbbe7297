"""What a store says of the workflow in it and of its leaders."""

from __future__ import annotations

from typing import Any

import msgspec

from toil_core.errors import CorruptBlob
from toil_core.wire import keys
from toil_core.wire.reread import UNREADABLE


class WorkflowInfo(msgspec.Struct, frozen=True):
    """What is run in a store.

    Args:
        id: Unique for ever.
        name: What people call it: the script's or the function's name.
        created: Seconds since 1970.
        engine: The version of toil-core that began it.
        python: The version of Python that began it.
        options: The options as saved, without secrets.
        modules: The modules, besides the main one, that define the jobs that it began with.
    """

    id: str
    name: str
    created: float
    engine: str
    python: str
    options: dict[str, Any] = {}
    modules: tuple[str, ...] = ()


class LeaderInfo(msgspec.Struct, frozen=True):
    """Who leads an epoch.

    Args:
        epoch: From 1.
        host: The machine's name.
        boot: Tells one boot of a machine from another; empty when unknown.
        pid: The process on that machine.
        born: When the process started, in the kernel's own count; tells a pid from its reuse. 0 when unknown.
        started: Seconds since 1970.
        engine: The version of toil-core.
        mark: Random text that tells this leader from any other.
    """

    epoch: int
    host: str
    boot: str
    pid: int
    born: int
    started: float
    engine: str
    mark: str


_workflow = msgspec.json.Decoder(WorkflowInfo)
_leader = msgspec.json.Decoder(LeaderInfo)


def encode(record: WorkflowInfo | LeaderInfo) -> bytes:
    """The record as readable JSON."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2)


def decode_workflow(data: bytes) -> WorkflowInfo:
    """The record that the bytes hold.

    Raises:
        CorruptBlob: They are not what was written.
    """
    try:
        return _workflow.decode(data)
    except UNREADABLE as error:
        raise CorruptBlob(keys.WORKFLOW, f"unreadable record of the workflow ({error})") from error


def decode_leader(data: bytes, key: str) -> LeaderInfo:
    """The record that the bytes hold.

    Raises:
        CorruptBlob: They are not what was written.
    """
    try:
        return _leader.decode(data)
    except UNREADABLE as error:
        raise CorruptBlob(key, f"unreadable record of a leader ({error})") from error
