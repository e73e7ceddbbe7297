"""The commands that look at a job store say in a line what is damaged there, whatever it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monitor import stores
from toil_core.batch_system import Requirement
from toil_core.cli import main
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.monitor.status import load
from toil_core.wire import keys

COMMANDS = (
    "status store", "status store --json", "why store", "why store 1-1.0.1", "why store leaf", "logs store", "logs store 1-1.0.2", "stats store",
    "stats store --raw", "report store", "kill store", "clean --dry-run store",
)  # fmt: skip
LIST = ["workflow", "leader/", "setup/", "pages/", "checkpoints/", "history/", "commits/1-", "commits/0"]


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def altered_text(data: bytes) -> bytes:
    """What was text is none any more, while the structure stands."""
    at = next((at for at in range(len(data) // 4, len(data) - 1) if data[at : at + 2].isalpha()), len(data) // 2)
    return data[:at] + b"\xff" + data[at + 1 :]


def noise(data: bytes) -> bytes:
    return os.urandom(len(data))


@pytest.mark.parametrize("damage", [cut, altered_text, noise])
@pytest.mark.parametrize("kind", LIST)
@pytest.mark.parametrize("folded", [True, False])
def test_every_command_with_every_kind_of_blob_damaged(
    folded: bool, kind: str, damage: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = stores.begun(tmp_path / "store")
    stores.led(store, pid=stores.dead_process())
    stores.committed(store)
    Watch(store, 1, WatchOptions(), Requirement(), 1.0).write(load(store, {})[0], time.time())
    if folded:
        stores.folded(store, ended=True)
    found = [blob.key for blob in store.list(kind)]
    assert bool(found) is (folded or kind not in ("checkpoints/", "history/"))
    for key in found:
        path = Path(store.path(key))  # type: ignore[attr-defined]
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(damage(data))
    for command in COMMANDS:
        code = main(command.split())
        said = capsys.readouterr().err
        assert code in (0, 1, 2), f"{command}: {said}"
        assert code == 0 or said.count("toil: ") == 1, f"{command}: {said}"
        if kind == "workflow" and command.split()[0] in ("status", "why", "logs", "stats", "report"):
            assert code == 1
            assert keys.WORKFLOW in said
        if kind == "history/" and folded:
            assert (code == 1 and found[0] in said) is (command.split()[0] in ("stats", "report")), f"{command}: {code} {said}"
