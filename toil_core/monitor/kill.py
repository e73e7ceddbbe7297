"""Ending a run from outside its leader."""

from __future__ import annotations

import getpass
import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Literal

import msgspec

from toil_core.errors import NoSuchJobStore, UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.monitor import status
from toil_core.wire import keys
from toil_core.wire.commits import create_once
from toil_core.wire.run import LeaderInfo

Fate = Literal["ended", "asked", "over", "lives"]


class Killed(msgspec.Struct, frozen=True):
    """What became of a wish to end a run.

    Args:
        fate: `ended`; `asked` when the leader is on a machine, or another's process, that only the job store
            reaches; `over` when nothing ran any more; `lives` when the leader did not end in time.
        leader: The leader's epoch; 0 when there was none.
        host: Its machine.
        pid: Its process there.
    """

    fate: Fate
    leader: int = 0
    host: str = ""
    pid: int = 0


def kill(store: JobStore, locator: str, *, force: bool = False, seconds: float = 60.0) -> Killed:
    """End the run of the store's leader, with all its workers; the store can be restarted from.

    A leader on this machine gets a signal. For any other a blob is left in the store, which leaders, and
    workers that outlived theirs, look for now and then.

    Args:
        store: The job store.
        locator: What the user calls it.
        force: Whether to end the leader at once, without giving it time to end its workers in good order;
            they end by themselves.
        seconds: How long to wait for the leader's end.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: The leader can only be reached through the store, which does not end it by force.
    """
    if not epoch.last_epoch(store) and status.workflow_info(store, locator) is None:
        raise NoSuchJobStore(f"no workflow was begun at {locator}, so nothing runs")
    leader = status.leader_status(store)
    if leader.state in ("none", "stopped") or (leader.state == "dead" and status.ended_by(store, leader.epoch)):
        return Killed("over", leader.epoch, leader.host, leader.pid)
    info = epoch.leader_info(store, leader.epoch)
    if info is not None and leader.state == "running":
        ended = _signalled(info, signal.SIGKILL if force else signal.SIGTERM, seconds)
        if ended is not None:
            return Killed("ended" if ended else "lives", leader.epoch, leader.host, leader.pid)
    _ask(store, leader.epoch)
    if leader.state == "dead":
        return Killed("over", leader.epoch, leader.host, leader.pid)
    if force:
        raise UsageError(
            f"process {leader.pid} on {leader.host} cannot be ended by force from here; it was asked to end. Use --force on {leader.host}, as its user"
        )
    return Killed("asked", leader.epoch, leader.host, leader.pid)


def _signalled(info: LeaderInfo, number: signal.Signals, seconds: float) -> bool | None:
    """Send the signal and wait for the process's end; None when this user may not."""
    try:
        process = os.pidfd_open(info.pid)
    except ProcessLookupError:
        return True
    try:
        if not epoch.alive(info):  # what has that number now is another process
            return True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)
        return bool(select.select([process], [], [], seconds)[0])
    except PermissionError:
        return None
    finally:
        os.close(process)


def _ask(store: JobStore, leader: int) -> None:
    who = {"by": getpass.getuser() if os.environ.get("USER") else str(os.getuid()), "host": socket.gethostname(), "time": time.time()}
    create_once(store, keys.kill(leader), msgspec.json.encode(who))
