"""Workflows that were submitted to a cluster: each is a folder on the leader, and a session of a terminal multiplexer while it runs.

    HOME/.toil/runs/RUN/code/       the folder of the script, as it was when it was submitted; the run starts there
    HOME/.toil/runs/RUN/command     what was asked for, a word on each line of JSON
    HOME/.toil/runs/RUN/log         what it said
    HOME/.toil/runs/RUN/exit-code   written when it ends
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from toil_core.cluster import run_scripts
from toil_core.errors import NodeFull, ToilError, UsageError
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport
from toil_core.workflow.deployment_files import Search

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")


@dataclass(frozen=True)
class Run:
    """A workflow that was submitted.

    Args:
        id: Its name on the cluster.
        state: `running`, `ended with code N`, or `lost` when its session is gone without an end.
        exit_code: Its exit code, when it has ended.
        submitted: When, in seconds since 1970.
        command: What was asked for, as a shell would take it.
    """

    id: str
    state: str
    exit_code: int | None
    submitted: float
    command: str


@dataclass(frozen=True)
class Program:
    """What is to be run.

    Args:
        folder: What goes along; the run starts in it.
        file: The file that is run, somewhere in the folder.
        words: What `toil run` is told, to find it in the folder.
    """

    folder: Path
    file: Path
    words: tuple[str, ...]

    @classmethod
    def of_script(cls, script: Path) -> Program:
        """A script, with the folder that it is in.

        Raises:
            UsageError: There is no such file.
        """
        if not script.is_file():
            raise UsageError(f"there is no script {script}")
        return cls(script.absolute().parent, script, (script.name,))

    @classmethod
    def of_module(cls, name: str, folder: Path) -> Program:
        """A module or package below a folder, which `python -m` would run there.

        Raises:
            UsageError: There is none.
        """
        place = folder.joinpath(*name.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__main__.py"):
            if all(part.isidentifier() for part in name.split(".")) and file.is_file():
                return cls(folder, file, ("-m", name))
        raise UsageError(f"there is no module {name!r} that can be run in {folder}; go to the folder that has it, or its outermost package")

    def new_id(self) -> str:
        """A name for a run, which no other run has."""
        stem = self.file.absolute().parent.name if self.file.stem == "__main__" else self.file.stem
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', stem).strip('-_')[:40] or 'run'}-{secrets.token_hex(3)}"


def check_id(id: str) -> str:
    """The name of a run.

    Raises:
        UsageError: No run has such a name.
    """
    if not _ID.fullmatch(id):
        raise UsageError(f"{id!r} is no name of a run; `toil cluster-status` lists them")
    return id


def submit(transport: SyncTransport, node: Node, program: Program, arguments: Sequence[str], id: str) -> list[str]:
    """Copy a program with its folder, and start it.

    Args:
        transport: The way into the node.
        node: The leader.
        program: The program.
        arguments: What it takes.
        id: What to call the run.

    Returns:
        Data files that are too large to have been copied.

    Raises:
        UsageError: The leader has no terminal multiplexer, or its disk is full.
        ToilError: It cannot be copied, or does not start.
    """
    search = Search()
    words = ["toil", "run", *program.words, *arguments]
    with tempfile.TemporaryDirectory(prefix="toil-") as name:
        run = Path(name)
        for found in search.files(str(program.folder), None):
            _copy(Path(found.path), run / "code" / found.name)
        _copy(program.file, run / "code" / program.file.absolute().relative_to(program.folder.absolute()))
        (run / "command").write_text(json.dumps(words))
        try:
            transport.push(node, run, PurePosixPath(".toil/runs") / id)
        except (ToilError, KeyboardInterrupt) as error:
            _forget(transport, node, id)
            if isinstance(error, NodeFull):
                raise NodeFull(f"{error}; make room there, or launch a cluster whose leader has a larger disk: --leader-storage") from None
            raise
    started = transport.run(node, ["sh", "-c", run_scripts.START, "sh", id, *words], timeout=60)
    if started.returncode:
        why = started.stderr.decode(errors="replace").strip() or f"exit code {started.returncode}"
        raise (UsageError if started.returncode == run_scripts.NO_MULTIPLEXER else ToilError)(f"the run does not start on {node.name}: {why}")
    return [found.path for found in search.left_out]


def _forget(transport: SyncTransport, node: Node, id: str) -> None:
    """Leave nothing of a run that was copied in part."""
    with suppress(ToilError):
        transport.run(node, ["sh", "-c", 'rm -rf "$HOME/.toil/runs/$1"', "sh", id], timeout=10)


def _copy(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def runs_of(transport: SyncTransport, node: Node, seconds: float = 60.0) -> list[Run]:
    """The runs on a cluster, the newest last.

    Args:
        transport: The way into the node.
        node: The leader.
        seconds: How long it may take to say so.
    """
    done = transport.run(node, ["sh", "-c", run_scripts.LIST], timeout=seconds)
    found = []
    for line in done.stdout.decode(errors="replace").splitlines():
        id, code, state, submitted, command = line.split("\t", 4)
        exit_code = int(code) if code.isdigit() else None
        shown = f"ended with code {exit_code}" if state == "ended" else state
        found.append(Run(id, shown, exit_code, float(submitted), shlex.join(json.loads(command)[2:])))
    return sorted(found, key=lambda run: run.submitted)


def follow(id: str) -> list[str]:
    """The command that shows on a node what a run says until it ends, and has its exit code."""
    return ["sh", "-c", run_scripts.FOLLOW, "sh", check_id(id)]


def attach(id: str) -> list[str]:
    """The command that attaches a terminal on a node to a run."""
    return ["sh", "-c", run_scripts.ATTACH, "sh", check_id(id)]


def newest(runs: Sequence[Run], cluster: str) -> Run:
    """The run that is meant when none is named: the newest.

    Raises:
        UsageError: There is none.
    """
    if not runs:
        raise UsageError(f"nothing was submitted to cluster {cluster}; `toil submit {cluster} SCRIPT` starts a run")
    return runs[-1]
