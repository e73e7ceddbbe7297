"""What is on disk of the clusters of this machine: the tags of a cloud that has no other memory.

    ROOT/CLUSTER/lock                 held by whoever changes something
    ROOT/CLUSTER/tags.json            what the cluster is marked with; there as soon as it is prepared
    ROOT/CLUSTER/records/NODE/        record.json, and what its ssh server needs
    ROOT/CLUSTER/nodes/NODE/          the node's disk: the home of whoever logs in there

A node's record appears whole, by a rename, before anything of the node runs; so whatever dies, all that runs can be found.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from toil_core.errors import BadOption
from toil_core.open_files import is_at

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class Record(msgspec.Struct, frozen=True):
    """A node of a cluster on this machine.

    Args:
        name: Unique in the cluster.
        type: Its node type's name.
        role: `leader` or `worker`.
        preemptible: Whether it may be taken away.
        address: The loopback address that is its own.
        launched: Seconds since 1970.
        port: Where its ssh server listens; 0 when it has none.
        host_key: The server's public key.
        taken: When it will be taken away, in seconds since 1970; 0 when that is not known.
    """

    name: str
    type: str
    role: str
    preemptible: bool
    address: str
    launched: float
    port: int = 0
    host_key: str = ""
    taken: float = 0.0


class Records:
    """The records below one folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, cluster: str) -> Path:
        """The folder of a cluster.

        Raises:
            BadOption: It cannot have that name.
        """
        if not _NAME.fullmatch(cluster):
            raise BadOption(f"{cluster!r} is no name for a cluster: lower-case letters, digits and hyphens, first a letter, at the most 40")
        return self.root / cluster

    def home(self, cluster: str, node: str) -> Path:
        """The folder that is a node's disk."""
        return self.homes(cluster) / node

    def homes(self, cluster: str) -> Path:
        """The folder of all disks of a cluster."""
        return self.folder(cluster) / "nodes"

    def about(self, cluster: str, node: str) -> Path:
        """The folder of a node's record."""
        return self.abouts(cluster) / node

    def abouts(self, cluster: str) -> Path:
        """The folder of all records of a cluster."""
        return self.folder(cluster) / "records"

    def clusters(self) -> Iterator[str]:
        """The clusters of which anything is there."""
        if self.root.is_dir():
            yield from sorted(entry.name for entry in self.root.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))

    @contextmanager
    def locked(self, cluster: str) -> Iterator[None]:
        """Be the only one who changes the cluster; it is made if it is not there."""
        folder = self.folder(cluster)
        while True:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # somebody destroys it
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if is_at(folder / "lock", file):
                    yield
                    return
            finally:
                os.close(file)

    def prepared(self, cluster: str) -> bool:
        """Whether the cluster was prepared and not destroyed since."""
        return (self.folder(cluster) / "tags.json").exists()

    def prepare(self, cluster: str, tags: Mapping[str, str]) -> None:
        """Make the cluster's own folders, and note its tags."""
        for name in ("records", "nodes"):
            (self.folder(cluster) / name).mkdir(mode=0o700, exist_ok=True)
        _replace(self.folder(cluster) / "tags.json", json.dumps(dict(tags)).encode())

    def nodes(self, cluster: str) -> list[Record]:
        """The records of all nodes, in the order of their launch."""
        found = []
        for path in (self.folder(cluster) / "records").glob("*/record.json"):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Record))
            except (FileNotFoundError, NotADirectoryError):  # it goes just now
                continue
        return sorted(found, key=lambda record: (record.launched, record.name))

    def add(self, cluster: str, record: Record, files: Mapping[str, tuple[bytes, int]]) -> None:
        """Add a node, at once or not at all.

        Args:
            cluster: The cluster.
            record: The record.
            files: By name, content and mode of what lies beside it.
        """
        new = self.folder(cluster) / "records" / f".{record.name}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self.home(cluster, record.name).mkdir(mode=0o700, exist_ok=True)
        for name, (content, mode) in {**files, "record.json": (msgspec.json.encode(record), 0o600)}.items():
            with open(os.open(new / name, os.O_WRONLY | os.O_CREAT, mode), "wb") as file:
                file.write(content)
        new.rename(self.about(cluster, record.name))

    def change(self, cluster: str, record: Record) -> None:
        """Write a node's record anew."""
        _replace(self.about(cluster, record.name) / "record.json", msgspec.json.encode(record))

    def remove(self, cluster: str, node: str) -> None:
        """Remove a node's record, then its disk."""
        about = self.about(cluster, node)
        if about.exists():
            gone = about.with_name(f".{node}")
            shutil.rmtree(gone, ignore_errors=True)
            about.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        shutil.rmtree(self.home(cluster, node), ignore_errors=True)

    def remove_all(self, cluster: str) -> None:
        """Remove all of a cluster; what runs there must have ended."""
        folder = self.folder(cluster)
        shutil.rmtree(folder, ignore_errors=True)  # the lock too: whoever waits for it looks whether it is still there
        if folder.exists():
            shutil.rmtree(folder)


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    new.rename(path)
