"""How many workers must come up, as it is said on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Clusters
from tests.docs.blocks import ROOT
from tests.fake_plugins import add_plugin

LAUNCH = ("launch-cluster", "some", "-p", "local", "--nodeType", "local.small", "--engine", "broken", "-w", "2")
WHY = "worker-2/ready failed: the engine does not work: its certificate is old"


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Clusters]:
    """Clusters whose engine does not work on the second worker, nor on the third."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    add_plugin(plugins, "toil-broken", {"toil.engine": {"broken": "tests.cluster.broken_engine:BrokenEngine"}}, {})
    made = Clusters(tmp_path, "off", {"PYTHONPATH": f"{plugins}:{ROOT}", "BROKEN_WORKERS": "worker-2 worker-3"})
    try:
        yield made
    finally:
        made.destroy_all()


def workers(clusters: Clusters) -> list[str]:
    told = json.loads(clusters.toil("cluster-status", "some", "--json").stdout)
    return [node["name"] for node in told["nodes"] if node["role"] == "worker"]


def test_half_of_the_workers_are_enough_if_nothing_is_said_and_scaling_may_be_strict(broken: Clusters) -> None:
    done = broken.toil(*LAUNCH)
    assert done.stdout == "cluster some is ready: a leader and 1 of 2 workers\n"
    assert f"{WHY}; goes on without worker-2" in done.stderr
    assert "1 worker failed and was removed; `toil scale-cluster some -w 2` tries again" in done.stderr
    assert workers(broken) == ["worker-1"]
    refused = broken.toil("scale-cluster", "some", "-w", "3", "--strict", code=1)
    assert "no nodes were added to some: worker-3/ready" in refused.stderr
    assert workers(broken) == ["worker-1"]


@pytest.mark.parametrize("said", [("--strict",), ("--least-workers", "2"), ("--least-workers", "51%")])
def test_a_launch_that_wants_more_than_come_up_leaves_nothing(broken: Clusters, said: tuple[str, ...]) -> None:
    done = broken.toil(*LAUNCH, *said, code=1)
    assert "worker-2/ready" in done.stderr and "what was made is removed" in done.stderr
    assert json.loads(broken.toil("list-clusters", "--json").stdout) == []
    assert broken.processes() == []


def test_one_worker_may_be_said_to_be_enough_and_all_when_all_come_up(broken: Clusters) -> None:
    broken.toil(*LAUNCH, "--least-workers", "1")
    assert workers(broken) == ["worker-1"]
    quiet = broken.toil("scale-cluster", "some", "-w", "3", "--quiet")
    assert [line.split(";")[0] for line in quiet.stderr.splitlines()] == [
        "toil: worker-3/ready failed: the engine does not work: its certificate is old", "toil: worker-3 failed and was removed",
    ]  # fmt: skip
    broken.variables["BROKEN_WORKERS"] = ""
    assert broken.toil("scale-cluster", "some", "-w", "3", "--strict").stdout == "added worker-5\n"


def test_what_is_no_share_is_a_line(broken: Clusters) -> None:
    for said, told in (
        (("--least-workers", "some"), "'some' is no share of the workers"),
        (("--least-workers", "101%"), "'101%' is no share of the workers"),
        (("--least-workers=-1",), "'-1' is no share of the workers"),
        (("--least-workers", "3"), "--least-workers 3: only 2 are asked for"),
        (("--strict", "--least-workers", "1"), "not allowed with"),
    ):
        done = broken.toil(*LAUNCH, *said, code=2)
        assert told in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
