"""Blobs that were cut short or altered while no leader ran: named, and run again where that is safe."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import workflow
from tests.faults.runs import DEADLINE, Run, end_of
from toil_core.drivers.file import FileJobStore
from toil_core.errors import CorruptBlob
from toil_core.monitor.status import workflow_info
from toil_core.options import Config
from toil_core.wire import keys


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    """Alter a byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(data)


Damage = Callable[[Path], None]
each_damage = pytest.mark.parametrize("damage", [cut, empty, flip])


def stopped(run: Run, how: str = "SIGKILL") -> None:
    """Run about half of the workflow."""
    run.order(len(list(workflow.names(run.step))) // 2, f"end {how} leader wait")
    end_of(run.start())
    run.await_no_process()


def go_on(run: Run) -> str:
    """Restart, and check what came of it."""
    settled, since = run.settled(), len(run.effects())
    said = run.succeed(restart=True)
    run.check(since, settled)
    return said


@each_damage
def test_commits_run_again(damage: Damage, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=11, size=24)
    stopped(run)
    found = [key for key in run.blobs(keys.COMMITS) if not key.startswith(f"{keys.COMMITS}{keys.ROOT}/")]
    last = {keys.commit_parts(key)[0]: key for key in found}  # what came after a commit in its request goes with it
    damaged = sorted(last.values())[2:4]
    for key in damaged:
        damage(run.path(key))
    said = go_on(run)
    for key in damaged:
        assert f"{key}; its jobs run again" in said


@each_damage
def test_last_checkpoint(damage: Damage, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=12, size=24)
    stopped(run, "SIGTERM")
    key = run.blobs(keys.CHECKPOINTS)[-1]
    damage(run.path(key))
    assert f"{key}; the checkpoint before it is used" in go_on(run)


@each_damage
@pytest.mark.parametrize("key", [keys.setup(1), keys.leader(1)])
def test_what_a_restart_writes_anew(key: str, damage: Damage, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=13)
    stopped(run)
    damage(run.path(key))
    go_on(run)


@pytest.mark.parametrize("key", [keys.setup(1), keys.leader(1), keys.page(1), keys.LEARNED])
def test_what_a_restart_does_without(key: str, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=13)
    stopped(run, "SIGTERM")
    run.path(key).unlink()
    go_on(run)


@each_damage
@pytest.mark.parametrize("key", [keys.commit(keys.ROOT, 0), keys.WORKFLOW])
def test_what_nothing_can_replace(key: str, damage: Damage, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=14)
    stopped(run)
    sound = run.path(key).read_bytes()
    damage(run.path(key))
    code, out, said = end_of(run.start(restart=True))
    assert (code, out) == (1, "")
    assert said.splitlines()[-1].startswith("workflow.py: ")
    assert key in said.splitlines()[-1]
    run.path(key).write_bytes(sound)
    go_on(run)


@pytest.mark.parametrize("damage", [cut, empty])
def test_file_of_the_user(damage: Damage, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=next(seed for seed in range(100) if workflow.plan(seed, 8).shape == "kept"), size=8)
    run.order("r/read", "begin SIGKILL leader wait")
    code, _, _ = end_of(run.start())
    assert code == -signal.SIGKILL
    run.await_no_process()
    (key,) = [key for key in run.blobs(keys.FILES) if key.endswith("/r")]
    sound = run.path(key).read_bytes()
    damage(run.path(key))
    leader = run.start(restart=True)
    out, said = leader.communicate(timeout=DEADLINE)
    assert (leader.returncode, out) == (1, "")
    assert "1 job failed for good" in said
    assert f"CorruptBlob: file 'r' should have {len(sound)} bytes" in said
    assert key in said
    run.path(key).write_bytes(sound)
    go_on(run)


def test_a_record_of_the_workflow_that_was_removed(new_run: Callable[..., Run]) -> None:
    """It is not taken for a start that was cut short, which one may clean away."""
    run = new_run(seed=14)
    stopped(run)
    run.path(keys.WORKFLOW).unlink()
    code, out, said = end_of(run.start(restart=True))
    assert (code, out) == (1, "")
    assert said == "workflow.py: the record of the workflow has been removed: workflow\n"
    with FileJobStore(str(run.store), Config()) as store, pytest.raises(CorruptBlob, match="has been removed"):
        workflow_info(store, "here")


def test_records_of_leaders_that_were_removed_when_the_first_commit_was_no_longer_needed(new_run: Callable[..., Run]) -> None:
    """It is not taken for a start that was cut short either: nobody begins anew there, and a restart goes on."""
    run = new_run(seed=14)
    stopped(run, "SIGTERM")
    for key in [*run.blobs(keys.LEADERS), keys.commit(keys.ROOT, 0)]:
        run.path(key).unlink(missing_ok=True)
    with FileJobStore(str(run.store), Config()) as store:
        assert workflow_info(store, "here") is not None
    code, _, said = end_of(run.start())
    assert code == 2
    assert "holds a workflow already" in said
    go_on(run)


def test_start_that_was_cut_short(new_run: Callable[..., Run]) -> None:
    """Only the first blob of a workflow was stored: there is nothing to go on with, and it can be begun."""
    run = new_run(seed=15)
    stopped(run)
    for key in run.blobs(""):
        if key != keys.WORKFLOW:
            run.path(key).unlink()
    code, _, said = end_of(run.start(restart=True))
    assert code == 2
    assert "there is no workflow" in said
    run.succeed()
