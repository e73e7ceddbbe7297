"""What the core does on a node, over the sync transport: look, install the image, run the engine. All of it can be done again without harm."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from subprocess import CompletedProcess

from toil_core.cluster import node_facts, on_node
from toil_core.cluster.bundle import Image, NodeKind
from toil_core.cluster.layout import Layout
from toil_core.cluster.node_facts import Facts
from toil_core.cluster_engine import ClusterEngine, EngineNode, Role
from toil_core.errors import ToilError, UsageError
from toil_core.provisioner import Node
from toil_core.sync_transport import SyncTransport

_UNPACKED = 5
"""About how many times its archive an installed image is."""
_FIND = """
umask 077
mkdir -p "$1"
[ ! -e "$2/.whole" ] || exit 0
own=$2
shift 2
for image; do
    if [ -e "$image/.whole" ]; then touch -c "$image/.whole" 2>/dev/null; ln -sfn "$image" "$own"; exit; fi
done
exit 1
"""
"""Looks for an image in the places after the first two words: the folder of images, and where the node shall have it."""


@dataclass(frozen=True)
class Setup:
    """What all nodes of a cluster get.

    Args:
        cluster: The cluster's name.
        engine: What runs on it.
        secrets: What its nodes share.
        version: The version of this program.
        staging: The folder where files lie until they are sent; it goes with the cluster, also when this program is killed meanwhile.
    """

    cluster: str
    engine: ClusterEngine
    secrets: Mapping[str, bytes]
    version: str
    staging: Path


@dataclass(frozen=True)
class Member:
    """A node that becomes a part of a cluster.

    Args:
        node: The node.
        offer: The same as its engine knows it.
        leader_address: Where the cluster reaches its leader.
        home: The home of the node's user.
        image: The name of the image that it has.
    """

    node: Node
    offer: EngineNode
    leader_address: str
    home: PurePosixPath
    image: str

    @property
    def role(self) -> Role:
        """Its part."""
        return "leader" if self.node.role == "leader" else "worker"

    @property
    def layout(self) -> Layout:
        """Where things are on it."""
        return Layout(self.home)

    @property
    def python(self) -> PurePosixPath:
        """The cluster's Python."""
        return self.layout.image(self.image) / "bin" / "python"


def look(transport: SyncTransport, node: Node, kind: NodeKind, seconds: float) -> Facts:
    """Ask a node what it has.

    Args:
        transport: The way into the node.
        node: The node.
        kind: What it should be like.
        seconds: How long a step may take.

    Raises:
        Transient: It does not answer.
    """
    said = _run(transport, node, node_facts.question(kind.python), seconds, "answer").stdout.decode(errors="replace")
    return node_facts.answered(said, kind.python)


def prepare_system(transport: SyncTransport, node: Node, kind: NodeKind, facts: Facts, seconds: float, *, owns_system: bool) -> Facts:
    """Install the system's packages that are missing, where the system is ours.

    Args:
        transport: The way into the node.
        node: The node.
        kind: What it should be like.
        facts: What it has.
        seconds: How long a step may take.
        owns_system: Whether the system is ours.

    Returns:
        What the node has then.

    Raises:
        UsageError: The node will not do.
    """
    packages = node_facts.missing_packages(facts, kind.python)
    if owns_system and packages and facts.apt and facts.root is not None:
        done = transport.run(node, node_facts.install_command(packages, facts.root), timeout=seconds)
        facts = look(transport, node, kind, seconds)
        if done.returncode and not facts.python:
            raise ToilError(f"{' '.join(packages)} cannot be installed: {_last_line(done)}")
    objection = node_facts.objection(facts, kind.python, kind.machine)
    if objection:
        raise UsageError(objection)
    return facts


def put_files(transport: SyncTransport, node: Node, files: Mapping[str, bytes], staging: Path) -> None:
    """Write files on a node whose system is ours, by absolute path."""
    for name, content in files.items():
        with tempfile.NamedTemporaryFile(dir=staging) as file:
            file.write(content)
            file.flush()
            transport.push(node, Path(file.name), PurePosixPath(name))


def find_image(transport: SyncTransport, node: Node, facts: Facts, image: Image, seconds: float, shared: PurePosixPath | None = None) -> bool:
    """Give a node its tool, and look whether the node has the image.

    Args:
        transport: The way into the node.
        node: The node.
        facts: What it has.
        image: The image.
        seconds: How long a step may take.
        shared: A folder of images that all nodes share, where there is one.
    """
    transport.push(node, Path(on_node.__file__), Layout(facts.home).tool)
    return transport.run(node, _find(facts, image, shared), timeout=seconds).returncode == 0


def install(
    transport: SyncTransport, node: Node, facts: Facts, image: Image, archive: Path, seconds: float, shared: PurePosixPath | None = None
) -> bool:
    """Install the image, unless the node has it; `find_image` goes before.

    Args:
        transport: The way into the node.
        node: The node.
        facts: What it has.
        image: The image.
        archive: Its archive here.
        seconds: How long a step may take.
        shared: A folder of images that all nodes share, where there is one.

    Returns:
        Whether it had it.
    """
    layout, find = Layout(facts.home), _find(facts, image, shared)
    if transport.run(node, find, timeout=seconds).returncode == 0:  # another node may have installed it for all
        return True
    needed = archive.stat().st_size * (1 + _UNPACKED)
    if facts.free < needed:
        raise UsageError(f"its disk is full: {facts.free >> 20} MiB are free, and {needed >> 20} MiB are needed; ask for more storage")
    sent = layout.images / f"{image.name}.tar"
    transport.push(node, archive, sent)
    target = shared / image.name if shared else layout.image(image.name)
    _run(transport, node, [facts.python, str(layout.tool), "install", str(sent), str(target)], seconds, "install the image")
    _run(transport, node, ["rm", "-f", str(sent)], seconds, "remove the archive")
    if shared:
        _run(transport, node, find, seconds, "find the image")
    return False


def _find(facts: Facts, image: Image, shared: PurePosixPath | None) -> list[str]:
    layout = Layout(facts.home)
    there = [layout.image(image.name), Layout.prepared_image(image.name), *([shared / image.name] if shared else [])]
    return ["sh", "-c", _FIND, "sh", str(layout.images), *map(str, there)]


def start_engine(transport: SyncTransport, member: Member, setup: Setup, seconds: float) -> None:
    """Give a node the engine's files, and start its program; one that runs as it should is left alone.

    Raises:
        ToilError: It does not start.
    """
    layout, python = member.layout, member.python
    command = resolved(setup.engine.command(member.role, member.offer, member.leader_address, layout.engine), python)
    environment = {"PATH": f"{python.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VIRTUAL_ENV": str(python.parent.parent)}
    about = {"cluster": setup.cluster, "node": member.node.name, "role": member.role, "version": setup.version, "image": member.image}
    options = setup.engine.options(member.leader_address, layout.engine) if member.role == "leader" else {}
    files = {
        "cluster.json": json.dumps(about, indent=1).encode(),
        "engine.json": json.dumps({"command": command, "environment": environment}, indent=1).encode(),
        **{f"engine/{name}": content for name, content in setup.engine.files(member.role, member.leader_address, setup.secrets).items()},
        **layout.shell_files(member.image, setup.cluster, options),
    }
    with tempfile.TemporaryDirectory(dir=setup.staging) as name:
        folder = Path(name)
        _write(folder, files)
        transport.push(member.node, folder, layout.base)
    _run(transport, member.node, ["sh", "-c", layout.start_script(python)], seconds, "start the engine")


def await_ready(transport: SyncTransport, member: Member, setup: Setup, seconds: float) -> None:
    """Wait until a node is a working part of the cluster.

    Raises:
        ToilError: It does not become one; tells what the engine's log ends with.
    """
    command = resolved(setup.engine.ready(member.role, member.offer, member.leader_address, member.layout.engine), member.python)
    done = transport.run(member.node, command, timeout=seconds)
    if done.returncode:
        log = transport.run(member.node, ["tail", "-n", "1", str(member.layout.engine_log)], timeout=30).stdout.decode(errors="replace").strip()
        raise ToilError(f"the engine does not work: {_last_line(done)}" + (f"; its log ends with: {log}" if log else ""))


def resolved(command: Sequence[str], python: PurePosixPath) -> list[str]:
    """The command with the cluster's own Python, where its first word is `python`."""
    return [str(python), *command[1:]] if command and command[0] == "python" else list(command)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    os.chmod(folder, 0o700)
    for name, content in files.items():
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise ToilError(f"the engine wants a file outside of its folder: {name}")
        for above in reversed(parts.parents[:-1]):
            (folder / above).mkdir(mode=0o700, exist_ok=True)
        mode = 0o700 if parts.parts[0] == "bin" else 0o600
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT, mode), "wb") as file:
            file.write(content)


def _run(transport: SyncTransport, node: Node, command: Sequence[str], seconds: float, what: str) -> CompletedProcess[bytes]:
    done = transport.run(node, command, timeout=seconds)
    if done.returncode:
        full = "No space left" in _last_line(done) or "Disk quota" in _last_line(done)
        raise (UsageError if full else ToilError)(f"it cannot {what}: {_last_line(done)}")
    return done


def _last_line(done: CompletedProcess[bytes]) -> str:
    lines = [line for line in (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"
