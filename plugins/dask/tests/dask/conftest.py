"""Clusters of processes, which the cases of a file share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from toil_dask.testing import Cluster


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
