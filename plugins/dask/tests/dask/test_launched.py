"""A cluster that toil launches on this machine, used through the command line; a node is killed, and one is preempted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.conftest import Clusters
from toil_core.testing.runners import await_file

SCRIPT = '''
import os
from pathlib import Path

from toil_core import job, main
from toil_core.testing.runners import await_file


@job(cores=0.5, memory="64 MiB", disk="1 MiB", preemptible=True)
def square(number: int) -> int:
    return number * number


@job(cores=0.5, memory="64 MiB", disk="1 MiB", preemptible=True)
def last(before: list, halt: str) -> list:
    """Say on which node this runs; at the first and at the second try for ever."""
    number = len(list(Path(halt).glob("runs-*"))) + 1
    Path(f"{halt}/scratch").write_text(Path(os.environ["HOME"]).name)
    os.rename(f"{halt}/scratch", f"{halt}/runs-{number}")
    if number < 3:
        await_file(f"{halt}/never")
    return before


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def squares(job, halt: str, count: int = 4):
    return job.add_follow_on(last([job.add_child(square(number)) for number in range(count)], halt))


if __name__ == "__main__":
    main(squares)
'''

STAY = '''
import os
from pathlib import Path

from toil_core import job, main
from toil_core.testing.runners import await_file


@job(cores=0.5, memory="64 MiB", disk="1 MiB")
def stay(halt: str) -> str:
    Path(f"{halt}/scratch").write_text(Path(os.environ["HOME"]).name)
    os.rename(f"{halt}/scratch", f"{halt}/runs")
    await_file(f"{halt}/end")
    return "stayed"


if __name__ == "__main__":
    main(stay)
'''


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    made = Clusters(tmp_path_factory.mktemp("clusters"), "off")
    try:
        made.toil("launch-cluster", "dasked", "-p", "local", "--engine", "dask", "--leader-node-type", "local.small", "-w", "local.small=2,local.small:spot=1")
        yield made
    finally:
        made.destroy_all()


@pytest.mark.timeout(400)
def test_idle_nodes_go_first_and_a_job_may_end_before_its_node_goes(clusters: Clusters, tmp_path: Path) -> None:
    (tmp_path / "stay.py").write_text(STAY)
    clusters.toil("submit", "dasked", str(tmp_path / "stay.py"), f"file:{tmp_path}/store", "--halt", str(tmp_path), "--retry-count", "0")
    await_file(tmp_path / "runs")
    busy = (tmp_path / "runs").read_text()
    nodes = json.loads(clusters.toil("cluster-status", "dasked", "--json").stdout)["nodes"]
    idle = next(node["name"] for node in nodes if node["role"] == "worker" and not node["preemptible"] and node["name"] != busy)
    assert clusters.toil("scale-cluster", "dasked", "-w", "local.small=1").stdout == f"removed {idle}\n"
    scaling = subprocess.Popen(
        clusters.command("scale-cluster", "dasked", "-w", "local.small=0"), env=clusters.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert scaling.stderr is not None
    assert f"removes {busy} once what runs there has ended" in scaling.stderr.readline()
    (tmp_path / "end").touch()
    said, trouble = scaling.communicate(timeout=240)
    assert (said, trouble, scaling.returncode) == (f"removed {busy}\n", "", 0)
    shown = clusters.toil("attach", "dasked", "--follow").stdout
    assert "stayed" in shown
    assert "node lost" not in shown
    assert clusters.toil("scale-cluster", "dasked", "-w", "local.small=2").stdout == "added worker-4, worker-5\n"


@pytest.mark.timeout(400)
def test_nodes_that_are_preempted_and_killed_cost_no_try(clusters: Clusters, tmp_path: Path) -> None:
    """The node that can be preempted is filled first."""
    (tmp_path / "squares.py").write_text(SCRIPT)
    told = json.loads(clusters.toil("cluster-status", "dasked", "--json").stdout)
    spot = next(node["name"] for node in told["nodes"] if node["preemptible"])
    halt = tmp_path / "halt"
    halt.mkdir()
    options = ["--halt", str(halt), "--retry-count", "0", "--clean", "never"]
    clusters.toil("submit", "dasked", str(tmp_path / "squares.py"), f"file:{tmp_path}/store", *options)
    await_file(halt / "runs-1")
    assert (halt / "runs-1").read_text() == spot
    clusters.toil("local-cloud", "preempt", "dasked", spot, "--notice", "2s")
    await_file(halt / "runs-2")
    clusters.toil("local-cloud", "kill", "dasked", (halt / "runs-2").read_text())
    done = clusters.toil("attach", "dasked", "--follow")
    assert json.loads(done.stdout[done.stdout.index("[") :]) == [0, 1, 4, 9]
    assert "preempted" in done.stdout and "node lost" in done.stdout
    assert len({path.read_text() for path in halt.glob("runs-*")}) == 3
