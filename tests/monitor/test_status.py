from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.monitor.stores import begun, committed, dead_process, folded, led, opened
from toil_core.drivers.file import FileJobStore
from toil_core.errors import CorruptBlob, NoSuchJobStore, StoreError
from toil_core.job_store import Blob
from toil_core.monitor.status import examine, leader_status
from toil_core.options import Config
from toil_core.wire import keys


def blobs(folder: Path) -> dict[str, int]:
    return {blob.key: blob.size for blob in opened(folder).list()}


def test_a_workflow_that_nobody_took_up(tmp_path: Path) -> None:
    status = examine(begun(tmp_path / "s"), "s")
    assert (status.leader.state, status.total, status.done, status.open, status.complete) == ("none", 1, 0, 1, False)
    assert (status.name, status.script) == ("words", "")


def test_commits_count_before_any_checkpoint_and_nothing_is_changed(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    before = blobs(tmp_path / "s")
    status = examine(store, "s")
    assert blobs(tmp_path / "s") == before
    assert (status.leader.state, status.total, status.done, status.failed, status.open) == ("running", 5, 2, 1, 2)
    top, leaf = status.kinds
    assert (top.name, top.total, top.done, top.cpu, top.wall, top.memory) == ("top", 1, 1, 1.0, 2.0, 5 << 20)
    assert (leaf.name, leaf.total, leaf.done, leaf.failed, leaf.memory) == ("leaf", 4, 1, 1, 9 << 20)
    assert [(failure.job, failure.final, failure.reason, failure.tail) for failure in status.failures] == [
        ("1-1.0.2", True, "over time", "the end"),
        ("1-1.0.1", False, "over time", "the end"),
    ]
    assert status.script == "/home/me/words.py"


@pytest.mark.parametrize("ended", [True, False])
def test_a_checkpoint_says_the_same_as_the_commits(ended: bool, tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    by_commits = examine(store, "s")
    folded(store, ended=ended)
    store.delete([blob.key for blob in store.list(keys.COMMITS)])
    by_checkpoint = examine(store, "s")
    assert by_checkpoint.kinds == by_commits.kinds
    assert by_checkpoint.failures == by_commits.failures
    assert (by_checkpoint.total, by_checkpoint.done, by_checkpoint.failed) == (5, 2, 1)
    assert by_checkpoint.leader.state == ("stopped" if ended else "running")


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, "running"), ({"pid": 0}, "dead"), ({"boot": "another"}, "dead"), ({"born": 1}, "dead"), ({"host": "elsewhere"}, "unknown")],
)
def test_the_leader_may_live_or_not_or_be_out_of_sight(changes: dict[str, Any], state: str, tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    if "pid" in changes:
        changes = {"pid": dead_process()}
    led(store, **changes)
    assert examine(store, "s").leader.state == leader_status(store).state == state


def test_a_leader_after_one_that_stopped_is_at_work(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    folded(store, ended=True)
    led(store, 2)
    assert examine(store, "s").leader.state == leader_status(store).state == "running"
    folded(store, 2, ended=True)
    assert examine(store, "s").leader.state == leader_status(store).state == "stopped"


def test_a_half_made_store_and_none(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    with pytest.raises(NoSuchJobStore, match="there is no job store at s"):
        examine(store, "s")
    store.prepare()
    store.create(keys.commit(keys.ROOT, 0), b"begun")
    assert examine(store, "s").workflow == ""


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    folded(store, ended=False)
    store.write(keys.checkpoint(1, 0), BytesIO(b"damaged"))
    status = examine(store, "s")
    assert status.done == 2
    assert len(status.corrupt) == 1
    assert keys.checkpoint(1, 0) in status.corrupt[0]
    store.write(keys.WORKFLOW, BytesIO(b"damaged"))
    with pytest.raises(CorruptBlob, match=keys.WORKFLOW):
        examine(store, "s")


class Folding(FileJobStore):
    """A store whose leader writes two checkpoints just before or after the commits are listed, and removes what they hold."""

    def __init__(self, folder: Path, before: bool) -> None:
        super().__init__(str(folder), Config())
        self.folder, self.before, self.listed = folder, before, 0

    def list(self, prefix: str = "") -> Iterator[Blob]:
        if prefix == keys.COMMITS:
            self.listed += 1
        if prefix != keys.COMMITS or self.listed > 1:
            return super().list(prefix)
        found = [] if self.before else [*super().list(prefix)]
        store = opened(self.folder)
        folded(store, ended=False)
        store.create(keys.checkpoint(1, 1), b"".join(store.read(keys.checkpoint(1, 0))))
        store.delete([blob.key for blob in store.list(keys.COMMITS)])
        return super().list(prefix) if self.before else iter(found)


@pytest.mark.parametrize("before", [True, False])
def test_reading_starts_anew_when_the_leader_folds_meanwhile(before: bool, tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)
    committed(store)
    folding = Folding(tmp_path / "s", before)
    status = examine(folding, "s")
    assert folding.listed == 2
    assert (status.done, status.total, status.failed) == (2, 5, 1)


def test_a_store_that_lacks_what_it_needs_says_so(tmp_path: Path) -> None:
    store = begun(tmp_path / "s")
    led(store)  # else it is one whose start was cut short
    store.delete([keys.commit(keys.ROOT, 0)])
    with pytest.raises(StoreError, match="not whole.*commits/0/000000"):
        examine(store, "s")
