"""The batch system's contract, on a cluster of processes that all cases share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toil_core.batch_system import BatchSystem, CanInterrupt, HasCapacity, HasMisfits, HasNodes
from toil_core.testing.batch_system import BatchSystemContract

from toil_dask.testing import Cluster


class TestDask(BatchSystemContract):
    abilities = (CanInterrupt, HasCapacity, HasMisfits, HasNodes)

    @pytest.fixture
    def batch_system(self, cluster: Cluster) -> Iterator[BatchSystem]:
        yield cluster.open("one", may_grow=False)
        assert not list(cluster.tmp.iterdir())
