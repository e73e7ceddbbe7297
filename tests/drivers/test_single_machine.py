from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toil_core.batch_system import BatchSystem, CanInterrupt, HasCapacity
from toil_core.drivers.single_machine import SingleMachine
from toil_core.drivers.single_machine_options import SingleMachineOptions
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.testing.batch_system import BatchSystemContract


class TestSingleMachine(BatchSystemContract):
    abilities = (CanInterrupt, HasCapacity)

    @pytest.fixture
    def batch_system(self, tmp_path: Path) -> Iterator[BatchSystem]:
        root = tmp_path / "work"
        root.mkdir()
        yield SingleMachine(Config([EngineOptions(work_dir=str(root))]))
        assert not list(root.iterdir())


def test_no_memory_and_no_disk_are_not_all_of_them(tmp_path: Path) -> None:
    with SingleMachine(Config([EngineOptions(work_dir=str(tmp_path)), SingleMachineOptions(local_memory=0, local_disk=0)])) as system:
        assert (system.capacity().memory, system.capacity().disk) == (0, 0)
