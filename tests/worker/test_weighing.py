"""Folders of attempts are weighed while these run, and rarely."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from toil_core.worker.folders import size
from toil_core.worker.forkserver import ForkServer
from toil_core.worker.notes import Notes, new_page

MIB = 1 << 20


def test_what_is_gone_at_the_end_was_seen(tmp_path: Path) -> None:
    tmp = tmp_path / "3" / "tmp"
    tmp.mkdir(parents=True)
    (tmp / "large").write_bytes(bytes(2 * MIB))
    server = ForkServer.__new__(ForkServer)
    server._around = SimpleNamespace(opened=SimpleNamespace(folder=str(tmp_path)))  # type: ignore[assignment]
    slot: Any = SimpleNamespace(weighed=0, weigh_at=0.0, notes=Notes(new_page(), 3))
    batch: Any = SimpleNamespace(slot=3)
    slot.notes.next(1, 0)
    server._look_at_disk(slot, batch, 77, 0.5)
    assert slot.notes.disk == 0, "a short attempt is not worth it"
    server._look_at_disk(slot, batch, 77, 1.0)
    assert slot.notes.disk >= 2 * MIB
    assert slot.weigh_at >= 2.0
    (tmp / "large").unlink()
    server._look_at_disk(slot, batch, 77, slot.weigh_at)
    assert slot.notes.disk >= 2 * MIB, "the peak stays"
    server._look_at_disk(slot, batch, 78, 0.1)
    assert (slot.weighed, slot.weigh_at) == (78, 1.0)
    slot.notes.next(1, 1)
    assert slot.notes.disk == 0


def test_a_crowded_folder_is_not_weighed_to_the_end(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).write_bytes(bytes(8192))
    assert 0 < size(str(tmp_path), 4) < size(str(tmp_path))
