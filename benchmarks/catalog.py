"""Who is measured: this engine, its variants, its peers, and the limits of the machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / ".peers"
"""Where `make bench-peers` puts each peer's own environment."""


@dataclass(frozen=True)
class Subject:
    """One that does cases.

    Args:
        key: Short name, as on the command line.
        title: As in the table.
        how: What runs a job and what survives, in a few words.
        module: The script that does the cases; see `benchmarks.subject`.
        variant: Which of its ways it is to take.
        peer: The peer's environment; empty for what runs in ours.
        package: The distribution whose version is shown.
        help: Arguments of its command that print its help, program first.
        sizes: Other sizes than the case's own, where the subject would take too long; 0 leaves the case out.
        rounds: At most so many runs of a case; None for as many as all others.
    """

    key: str
    title: str
    how: str
    module: str
    variant: str = ""
    peer: str = ""
    package: str = ""
    help: tuple[str, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    rounds: int | None = None

    @property
    def folder(self) -> Path:
        """Where its programs are."""
        return PEERS / self.peer / "bin" if self.peer else Path(sys.executable).parent

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return (self.folder / "python").exists()

    def command(self, case: str, size: int, scratch: Path, cores: int, fifo: str = "") -> list[str]:
        """The command that does a case; the arguments are those of `benchmarks.subject.Order`."""
        order = {"case": case, "size": size, "scratch": str(scratch), "cores": cores, "variant": self.variant, "fifo": fifo}
        return [str(self.folder / "python"), "-m", self.module, json.dumps(order)]

    def help_command(self) -> list[str]:
        """The command that prints its help."""
        return [str(self.folder / self.help[0]), *self.help[1:]]

    def environment(self) -> dict[str, str]:
        """The variables to run with; what would slow or colour some of the subjects is left out."""
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LD_LIBRARY_PATH")}
        return {**kept, "PATH": f"{self.folder}:{os.environ.get('PATH', os.defpath)}", "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}


_FORK = "a process per job"
OURS = "ours"
SUBJECTS: Sequence[Subject] = (
    Subject(
        OURS,
        "**this engine**, isolated jobs",
        f"{_FORK}; finished work survives kill -9",
        "benchmarks.subjects.ours",
        package="toil-core",
        help=("toil", "--help"),
    ),
    Subject("power", "this engine, durability `power`", f"{_FORK}; finished work survives power loss", "benchmarks.subjects.ours", "power"),
    Subject(
        "shared", "this engine, `isolated=False`", "jobs share processes; finished work survives kill -9", "benchmarks.subjects.ours", "shared"
    ),
    Subject("on_dask", "this engine on Dask", f"{_FORK}, by way of Dask's scheduler; finished work survives kill -9", "benchmarks.subjects.ours",
            "dask", package="toil-dask"),
    Subject("toil", "Toil", f"{_FORK}; finished work survives kill -9", "benchmarks.peers.with_toil", "", "toil", "toil", ("toil", "--help"),
            {"fan2000": 0, "fan20000": 0, "tree": 3}, 1),
    Subject("dask", "Dask distributed", "jobs share processes; nothing survives", "benchmarks.peers.with_dask", "", "dask", "distributed",
            ("dask", "--help")),
    Subject("parsl", "Parsl", "jobs share processes; nothing survives", "benchmarks.peers.with_parsl", "", "parsl", "parsl", (),
            {"fan20000": 0}),
    Subject("ray", "Ray", "jobs share processes; nothing survives", "benchmarks.peers.with_ray", "", "ray", "ray", ("ray", "--help")),
    Subject("luigi", "luigi", f"{_FORK}; targets survive", "benchmarks.peers.with_luigi", "", "luigi", "luigi", ("luigi", "--help"),
            {"fan20000": 0}, 2),
    Subject("fork", "limit: bare fork and wait", f"{_FORK}, by a bare Python", "benchmarks.subjects.limits", "fork"),
    Subject("true", "limit: spawn `/bin/true`", _FORK, "benchmarks.subjects.limits", "true"),
    Subject("python", "limit: spawn `python -S -c pass`", _FORK, "benchmarks.subjects.limits", "python", sizes={"fan20000": 0}),
    Subject("cp", "limit: write, copy and read in one process", "no engine", "benchmarks.subjects.limits"),
)
BY_KEY = {subject.key: subject for subject in SUBJECTS}


@cache
def version(key: str) -> str:
    """The version of the subject's distribution; empty when it has none."""
    subject = BY_KEY[key]
    if not subject.package or not subject.installed:
        return ""
    if not subject.peer:
        return metadata.version(subject.package)
    folders = [str(folder) for folder in (PEERS / subject.peer / "lib").glob("python*/site-packages")]
    found = list(metadata.distributions(name=subject.package, path=folders))
    return found[0].version if found else "?"


def how_to_install(subject: Subject) -> str:
    """The command that makes the peer's environment."""
    return f"make bench-peers PEERS={subject.peer}"
