"""How long a launch takes, phase by phase of its journal: of a cluster on this machine, and of one on hosts that are reached over ssh.

A host has its own network, processes, files and ssh server (for root; see `tests/cluster/simhosts.py`), and Debian's packages: what apt takes
to install those that are missing is not in the figures. *Bare* nodes are sent what they need; *prepared* ones have it, as from a machine image.
What is sent was made before, as by an earlier launch.

    python -m benchmarks.launch [--workers 1,4] [--clouds local,simhost]
    python -m benchmarks.launch --document      # and write it into docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import document, kept, machine, table
from benchmarks.catalog import ROOT
from tests.cluster.simhost_plugin import FOLDER, SimhostProvisioner
from tests.cluster.simhosts import Lab, missing
from tests.fake_plugins import add_plugin
from toil_core.cluster import bundle
from toil_core.cluster.phases import NODE_PHASES
from toil_core.cluster.state import ClusterState, Step
from toil_core.install_hints import DEFAULTS
from toil_core.options import Config
from toil_core.plugins import open_engine

TARGETS = {"bare": 60.0, "prepared": 5.0}
"""Seconds that our own share of a node's launch may take."""
OURS = NODE_PHASES[NODE_PHASES.index("system") :]
"""A node's phases after it has booted and answers."""
_NAME, _KEPT = "measured", "launch"
_HEAD = ("cloud", "nodes are", "workers", *(f"{phase} s" for phase in ("image", *NODE_PHASES)), "our share s", "whole launch s", "load")
_TYPES = {"local": ("local.small", "local.small"), "simhost": ("sim.small", "sim.large")}


class PreparedHosts(SimhostProvisioner):
    """Hosts that share a folder of images, which stands for machine images that have them."""

    def images(self) -> str:
        """See `SharesDisk`."""
        return "/srv/shared/images"


@dataclass(frozen=True)
class Figures:
    """One launch's figures, in seconds.

    Args:
        cloud: Where.
        nodes: `bare` or `prepared`.
        workers: How many workers.
        image: Finding out what to send.
        phases: Each of a worker's phases, on the average of the workers.
        share: What of the phases after the boot passed on that node on which it was the most, without waiting for other nodes.
        whole: From the launch's first phase to the end of its last.
        load: How many processes wanted a core before it began.
    """

    cloud: str
    nodes: str
    workers: int
    image: float
    phases: Mapping[str, float]
    share: float
    whole: float
    load: str

    @property
    def over(self) -> bool:
        """Whether it is more than is aimed at."""
        return self.share > TARGETS[self.nodes]

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        seconds = (self.image, *(self.phases[phase] for phase in NODE_PHASES))
        return self.cloud, self.nodes, str(self.workers), *(f"{each:.2f}" for each in seconds), f"{self.share:.2f}", f"{self.whole:.1f}", self.load


def read(journal: Sequence[Step]) -> tuple[dict[str, float], float]:
    """How long each phase of a launch took, and the whole of it.

    Args:
        journal: The launch's steps.
    """
    started = {step.phase: step.at for step in journal if step.state == "started"}
    took = {step.phase: step.at - started[step.phase] for step in journal if step.state == "done"}
    return took, max(step.at for step in journal) - min(step.at for step in journal)


def figures(cloud: str, nodes: str, workers: int, journal: Sequence[Step], load: str) -> Figures:
    """What a launch's journal comes to."""
    took, whole = read(journal)
    names = [f"worker-{number}" for number in range(1, workers + 1)]
    means = {phase: sum(took[f"{name}/{phase}"] for name in names) / workers for phase in NODE_PHASES}
    share = max(sum(took[f"{name}/{phase}"] for phase in OURS) for name in ("leader", *names))
    return Figures(cloud, nodes, workers, took["image"], means, share, whole, load)


@contextmanager
def _place(cloud: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder for the state of clusters, and the variables with which commands find the cloud."""
    with tempfile.TemporaryDirectory(prefix="toil-launch-") as name:
        folder = Path(name)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TOIL_") and key != "PYTHONDONTWRITEBYTECODE"}
        variables = {**kept, "TOIL_STATE_DIR": str(folder / "state")}
        if cloud == "local":  # what was installed lies in the cache, what is sent too
            (folder / "cache" / "toil").mkdir(parents=True)
            (folder / "cache" / "toil" / "images").symlink_to(bundle.cache_folder())
            yield folder, {**variables, "XDG_CACHE_HOME": str(folder / "cache")}
            return
        (folder / "plugins").mkdir()
        provisioners = {"simhost": "tests.cluster.simhost_plugin:SimhostProvisioner", "simprepared": "benchmarks.launch:PreparedHosts"}
        add_plugin(folder / "plugins", "toil-simhost", {"toil.provisioner": provisioners}, {})
        lab = Lab(folder / "lab")
        lab.up()
        try:
            yield folder, {**variables, FOLDER: str(lab.folder), "PYTHONPATH": f"{folder / 'plugins'}:{ROOT}"}
        finally:
            lab.down()


def measure(cloud: str, workers: int) -> Iterator[Figures]:
    """Launch on bare nodes, and again on prepared ones.

    Args:
        cloud: Where.
        workers: How many workers.
    """
    with _place(cloud) as (folder, variables):
        os.environ["TOIL_STATE_DIR"] = variables["TOIL_STATE_DIR"]
        if cloud == "local":  # its nodes share a disk: the second launch finds what the first one installed
            yield _launch(cloud, "bare", workers, cloud, variables)
            yield _launch(cloud, "prepared", workers, cloud, variables)
            return
        yield _launch(cloud, "bare", workers, "simhost", variables)
        (folder / "lab" / "srv" / "shared" / "images").mkdir()
        _launch(cloud, "prepared", 1, "simprepared", variables)
        yield _launch(cloud, "prepared", workers, "simprepared", variables)


def _launch(cloud: str, nodes: str, workers: int, provisioner: str, variables: Mapping[str, str]) -> Figures:
    load, (node, leader) = machine.load(), _TYPES[cloud]
    words = ["-p", provisioner, "--nodeType", node, "--leaderNodeType", leader, "-w", str(workers), "--strict"]
    try:
        _toil("launch-cluster", variables, *words)
        return figures(cloud, nodes, workers, ClusterState(_NAME).journal(), load)
    finally:
        _toil("destroy-cluster", variables)


def _toil(command: str, variables: Mapping[str, str], *words: str) -> None:
    toil = Path(sys.executable).with_name("toil")
    subprocess.run([toil, command, _NAME, *words], env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def _document() -> None:
    rows = sorted((Figures(**row) for row in kept.rows(_KEPT)), key=lambda row: (row.cloud, row.nodes, row.workers))
    described = machine.describe(os.cpu_count() or 1, Path(tempfile.gettempdir()))
    told = f"{described['Processor']}, all nodes share them; {described['Memory']}; commit {described['Commit']}."
    document.put(f"{table.markdown(_HEAD, [row.cells() for row in rows])}\n\n{told}", name="launch")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,4", help="How many workers; several with commas between.")
    parser.add_argument("--clouds", default=",".join(_TYPES), help="Where.")
    parser.add_argument("--document", action="store_true", help="Write all figures that were ever measured here into docs/benchmarks.md.")
    options = parser.parse_args()
    bundle.archive(bundle.image(open_engine(DEFAULTS["engine"], Config()).requirements(), None), bundle.cache_folder())
    print(*(f"{name:>14}" for name in _HEAD))
    for cloud in options.clouds.split(","):
        if cloud == "simhost" and (lacking := missing()):
            print(f"simhost is left out: {lacking}", file=sys.stderr)
            continue
        for workers in map(int, options.workers.split(",")):
            for found in measure(cloud, workers):
                kept.keep(_KEPT, asdict(found), ("cloud", "nodes", "workers"))
                print(*(f"{cell:>14}" for cell in found.cells()), *(["over"] if found.over else []), flush=True)
    if options.document:
        _document()


if __name__ == "__main__":
    main()
