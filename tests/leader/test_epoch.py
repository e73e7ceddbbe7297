"""Who may lead."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest

from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import LeaderRunning
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.options import Config
from toil_core.wire import keys, run
from toil_core.wire.run import LeaderInfo

_names = (f"epoch-{number}" for number in itertools.count())


@pytest.fixture
def store() -> Iterator[JobStore]:
    with MemoryJobStore(next(_names), Config()) as opened:
        opened.prepare()
        yield opened


def claim(store: JobStore, *, ended: int = 0, take_over: bool = False) -> int:
    return epoch.claim(store, "memory:here", ended=ended, take_over=take_over)


def put(store: JobStore, info: LeaderInfo) -> None:
    store.create(keys.leader(info.epoch), run.encode(info))


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_first_leader_has_epoch_one(store: JobStore) -> None:
    assert epoch.last_epoch(store) == 0
    assert claim(store) == 1
    info = epoch.leader_info(store, 1)
    assert info is not None and info.pid == os.getpid() and epoch.alive(info)


def test_a_living_leader_keeps_all_others_out(store: JobStore) -> None:
    claim(store)
    for take_over in (False, True):
        with pytest.raises(LeaderRunning, match=f"a leader works on memory:here already \\(process {os.getpid()} on "):
            claim(store, take_over=take_over)


def test_a_leader_that_stopped_in_good_order_lets_the_next_go_on(store: JobStore) -> None:
    claim(store)
    assert claim(store, ended=1) == 2


def test_that_an_earlier_leader_stopped_says_nothing_of_the_last(store: JobStore) -> None:
    claim(store)
    claim(store, ended=1)
    with pytest.raises(LeaderRunning):
        claim(store, ended=1)


def test_a_dead_leader_is_followed(store: JobStore) -> None:
    put(store, msgspec.structs.replace(epoch.this_leader(1), pid=dead_process()))
    assert claim(store) == 2


def test_a_pid_that_was_used_again_is_not_the_leader(store: JobStore) -> None:
    put(store, msgspec.structs.replace(epoch.this_leader(1), born=1))
    assert claim(store) == 2


def test_a_zombie_process_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    info = msgspec.structs.replace(epoch.this_leader(1), pid=process.pid, born=epoch._born(process.pid))
    assert epoch.alive(info)
    assert process.stdin is not None
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert epoch.alive(info) is False
    process.wait()


def test_another_boot_of_this_machine_is_dead(store: JobStore) -> None:
    put(store, msgspec.structs.replace(epoch.this_leader(1), boot="another"))
    assert claim(store) == 2


def test_a_leader_on_another_machine_is_only_followed_when_the_user_says_so(store: JobStore) -> None:
    put(store, msgspec.structs.replace(epoch.this_leader(1), host="elsewhere"))
    with pytest.raises(LeaderRunning, match="on elsewhere.*add --take-over"):
        claim(store)
    assert claim(store, take_over=True) == 2


def test_a_leader_s_record_that_cannot_be_read_bars_nobody(store: JobStore) -> None:
    store.write(keys.leader(3), io.BytesIO(b"{"))
    assert claim(store) == 4


def test_of_many_that_claim_at_once_one_wins(store: JobStore) -> None:
    start = threading.Barrier(8)
    won, lost = [], []

    def try_it() -> None:
        start.wait(30)
        try:
            won.append(claim(store))
        except LeaderRunning as error:
            lost.append(str(error))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert won == [1] and len(lost) == 7
    assert all("memory:here" in text for text in lost)
