"""Who leads: one leader at a time, and no way back for one that was replaced."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import toil_core
from toil_core.errors import CorruptBlob, LeaderRunning, NoSuchKey
from toil_core.job_store import JobStore
from toil_core.wire import keys, run
from toil_core.wire.commits import create_once
from toil_core.wire.reread import reread
from toil_core.wire.run import LeaderInfo


def last_epoch(store: JobStore) -> int:
    """The epoch of the newest leader; 0 when there was none."""
    return max((int(blob.key.removeprefix(keys.LEADERS)) for blob in store.list(keys.LEADERS)), default=0)


def begun(store: JobStore) -> bool:
    """Whether a workflow was begun there.

    The first commit decides that, and goes when no leader needs it any more; the first leader's record stays, unless somebody removed it.
    """
    for key in (keys.commit(keys.ROOT, 0), keys.leader(1)):
        try:
            store.stat(key)
        except NoSuchKey:
            continue
        return True
    return any(True for prefix in (keys.CHECKPOINTS, keys.LEADERS) for _ in store.list(prefix))


def leader_info(store: JobStore, epoch: int) -> LeaderInfo | None:
    """Who leads the epoch; None when the record is gone or cannot be read."""

    def read() -> LeaderInfo:
        with store.read(keys.leader(epoch)) as stream:
            return run.decode_leader(stream.read(), keys.leader(epoch))

    try:
        return reread(read)
    except (CorruptBlob, NoSuchKey):
        return None


def this_leader(epoch: int) -> LeaderInfo:
    """This process as a leader."""
    pid = os.getpid()
    version = toil_core.__version__
    return LeaderInfo(epoch, socket.gethostname(), _boot(), pid, _born(pid), time.time(), version, secrets.token_hex(8))


def alive(info: LeaderInfo) -> bool | None:
    """Whether that process is at work; None when it cannot be told from this machine."""
    if info.host != socket.gethostname():
        return None
    if info.boot != _boot():
        return False
    try:
        os.kill(info.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _born(info.pid) == info.born


def claim(
    store: JobStore,
    locator: str,
    *,
    ended: int,
    take_over: bool,
    this_leader: Callable[[int], LeaderInfo] = this_leader,
    alive: Callable[[LeaderInfo], bool | None] = alive,
) -> int:
    """Become the leader of a new epoch.

    Args:
        store: The job store.
        locator: What the user calls it.
        ended: The epoch whose leader is known to have stopped in good order; 0 when none is.
        take_over: Whether to go on although the last leader may live on a machine that cannot be asked.
        this_leader: Describes the new leader.
        alive: Tells whether a leader is at work.

    Returns:
        The epoch.

    Raises:
        LeaderRunning: Another leader is, or may be, at work.
    """
    last = max(last_epoch(store), _last_set_up(store))
    if last != ended:
        _refuse_if_alive(store, locator, last, take_over, alive)
    epoch = last + 1
    if not create_once(store, keys.leader(epoch), run.encode(this_leader(epoch))):
        raise LeaderRunning(f"another leader has just taken up {locator}; wait for it or end it first")
    return epoch


def _last_set_up(store: JobStore) -> int:
    """The newest epoch that had workers, should the record of its leader be gone: what was committed then must not count in another."""
    return max((int(blob.key.removeprefix(keys.SETUPS)) for blob in store.list(keys.SETUPS)), default=0)


def _refuse_if_alive(store: JobStore, locator: str, epoch: int, take_over: bool, alive: Callable[[LeaderInfo], bool | None]) -> None:
    info = leader_info(store, epoch)
    if info is None:
        return
    living = alive(info)
    where = f"process {info.pid} on {info.host}, since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(info.started))}"
    if living:
        raise LeaderRunning(f"a leader works on {locator} already ({where}); wait for it or end it first")
    if living is None and not take_over:
        raise LeaderRunning(f"a leader may still work on {locator} ({where}); when you know that it has ended, add --take-over")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _born(pid: int) -> int:
    """The process's start time in clock ticks; 0 where the system does not tell, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == "Z" else int(fields[19])
