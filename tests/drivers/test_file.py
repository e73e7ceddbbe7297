"""The file job store: the contract, and what only a folder can get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract


class TestFileJobStore(JobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[JobStore]:
        yield FileJobStore(str(tmp_path / "store"), Config())

    @pytest.fixture
    def locator(self, tmp_path: Path) -> str:
        return f"file:{tmp_path / 'store'}"

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], JobStore]:
        return lambda: FileJobStore(str(tmp_path / "store"), Config())
