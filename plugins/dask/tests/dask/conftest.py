"""Clusters of processes, which the cases of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toil_dask.testing import SHAPE, Cluster, Here


@pytest.fixture(scope="module")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster(bare_cluster: Cluster) -> Cluster:
    """A scheduler, and the node `one`."""
    bare_cluster.add("one")
    return bare_cluster


@pytest.fixture
def here(bare_cluster: Cluster, tmp_path: Path) -> Iterator[Here]:
    """A batch system on a cluster that has no nodes yet."""
    yield from started(bare_cluster, tmp_path, set())


@pytest.fixture
def with_one(bare_cluster: Cluster, tmp_path: Path) -> Iterator[Here]:
    """A batch system on a cluster with one node of 2 cores, which is called `one`; an earlier test's will do."""
    for here in started(bare_cluster, tmp_path, {"one"} if bare_cluster.shapes.get("one") == SHAPE else set()):
        here.add("one")
        yield here


def started(cluster: Cluster, folder: Path, kept: set[str]) -> Iterator[Here]:
    for name in set(cluster.processes) - {"leader"} - kept:
        cluster.kill(name)
    here = Here(cluster, folder)
    with here.system:
        yield here
