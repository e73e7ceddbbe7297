"""What the user's machine remembers of a cluster: how it was launched, and the keys to it.

    STATE/clusters/NAME/lock            held by whoever changes the cluster
    STATE/clusters/NAME/cluster.json    how it was launched; no secrets
    STATE/clusters/NAME/journal         a line for each step of the launch
    STATE/clusters/NAME/key, key.pub    let this user in; made for this cluster alone
    STATE/clusters/NAME/known_hosts     the host keys of its nodes
    STATE/clusters/NAME/secrets/        what the engine's nodes share
    STATE/clusters/NAME/staging/        what is just being sent to nodes

The machines themselves are recorded by the cloud's tags alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from toil_core import __version__
from toil_core.cluster.wanted import check_name
from toil_core.errors import ToilError, UsageError
from toil_core.open_files import is_at
from toil_core.state_folder import state_folder


class ClusterFile(msgspec.Struct, frozen=True):
    """How a cluster was launched.

    Args:
        name: Its name.
        provisioner: Where its machines come from.
        engine: What runs on it.
        transport: The way into its nodes.
        options: The options that it was launched with, as `Config.as_dict` has them.
        nodes: The nodes that were asked for, the leader first.
        workers: The kinds of workers that may be added by autoscaling, as the user wrote them.
        image: The name of what its nodes have installed.
        packages: The distributions in it: name, version and digest of each.
        python_requirements: What its nodes have beside that, as lines of a requirements file.
        worker_disk: Bytes of root disk of a worker; 0 for the type's own.
        version: The version of the program that launched it.
        created: When, in seconds since 1970.
        ready: Whether the launch came to its end.
    """

    name: str
    provisioner: str
    engine: str
    transport: str
    options: dict[str, Any]
    nodes: tuple[dict[str, Any], ...] = ()
    workers: str = ""
    image: str = ""
    packages: tuple[tuple[str, str, str], ...] = ()
    python_requirements: tuple[str, ...] = ()
    worker_disk: int = 0
    version: str = __version__
    created: float = 0.0
    ready: bool = False


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the journal.

    Args:
        phase: The phase's name.
        state: `started`, `done` or `failed`.
        at: When, in seconds since 1970.
        message: What it came to, or why it failed.
    """

    phase: str
    state: str
    at: float
    message: str = ""


class ClusterState:
    """One cluster's folder.

    Args:
        name: The cluster's name.

    Raises:
        BadOption: No cluster can have it.
    """

    def __init__(self, name: str) -> None:
        self.name = check_name(name)
        self.folder = clusters_folder() / name
        self.key = self.folder / "key"
        self.known_hosts = self.folder / "known_hosts"

    def exists(self) -> bool:
        """Whether this machine knows the cluster."""
        return (self.folder / "cluster.json").exists()

    def read(self) -> ClusterFile:
        """How it was launched.

        Raises:
            UsageError: This machine does not know it, or the file is damaged, or not to be read.
        """
        try:
            return msgspec.json.decode((self.folder / "cluster.json").read_bytes(), type=ClusterFile)
        except FileNotFoundError:
            raise UsageError(f"this machine knows of no cluster {self.name}; `toil list-clusters` lists those there are") from None
        except OSError as error:
            raise UsageError(f"{self.folder / 'cluster.json'} cannot be read: {error.strerror}") from None
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"{self.folder / 'cluster.json'} is damaged ({error}); without that file "
                f"`toil destroy-cluster {self.name} --provisioner NAME` removes the cluster"
            ) from None

    def write(self, cluster: ClusterFile) -> None:
        """Remember how it is launched."""
        write_private(self.folder / "cluster.json", msgspec.json.format(msgspec.json.encode(cluster), indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes the cluster from this machine.

        Raises:
            UsageError: Somebody else does, or nothing can be written there.
        """
        path = self.folder / "lock"
        while True:
            with _writing(self.folder):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                try:
                    held = open(path, "a+")  # noqa: SIM115  closed below
                except FileNotFoundError:  # a command that removes the cluster removes the folder just now
                    continue
            with held as lock:
                if not _lock(lock):
                    raise UsageError(f"another command works on cluster {self.name} just now; wait for its end, or end it")
                if is_at(path, lock.fileno()):  # else it was removed with the cluster meanwhile
                    yield
                    return

    def is_at_work(self) -> bool:
        """Whether a command of this machine changes the cluster just now."""
        try:
            with open(self.folder / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def make_key(self) -> str:
        """Make the cluster's own key pair, if it has none yet.

        Returns:
            The public key, a line.

        Raises:
            UsageError: ssh-keygen is not installed, or the private half is gone.
        """
        public = self.key.with_suffix(".pub")
        if public.exists() and not self.key.exists():
            raise UsageError(f"the cluster's own key is not in {self.key} any more, so no node can be added: put it back, or destroy the cluster and launch it anew")
        if not public.exists():
            keygen = shutil.which("ssh-keygen")
            if keygen is None:
                raise UsageError("there is no ssh-keygen to make the cluster's key with; apt install openssh-client")
            self.key.unlink(missing_ok=True)
            new = self.folder / ".key"
            for path in (new, self.folder / ".key.pub"):
                path.unlink(missing_ok=True)
            command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", f"toil cluster {self.name}", "-f", str(new)]
            made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if made.returncode:
                raise ToilError(f"ssh-keygen makes no key: {made.stderr.strip() or made.stdout.strip()}")
            new.rename(self.key)
            (self.folder / ".key.pub").rename(public)
        return public.read_text().strip()

    def secrets(self) -> Mapping[str, bytes] | None:
        """What the engine's nodes share; None when that was not made, or not here."""
        folder = self.folder / "secrets"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else None

    def keep_secrets(self, secrets: Mapping[str, bytes]) -> None:
        """Keep what the engine's nodes share."""
        new = self.folder / ".secrets"
        shutil.rmtree(new, ignore_errors=True)
        with _writing(new):
            new.mkdir(mode=0o700)
            for name, content in secrets.items():
                write_private(new / name, content)
            new.rename(self.folder / "secrets")

    def make_staging(self) -> Path:
        """An empty folder for what is sent to nodes, secrets among it; what a launch that was killed left there is removed."""
        folder = self.folder / "staging"
        shutil.rmtree(folder, ignore_errors=True)
        with _writing(folder):
            folder.mkdir(mode=0o700)
        return folder

    def note(self, phase: str, state: str, message: str = "") -> None:
        """Add a line to the journal."""
        path = self.folder / "journal"
        with _writing(path), open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(msgspec.json.encode(Step(phase, state, time.time(), message)) + b"\n")

    def journal(self) -> list[Step]:
        """Every step of the launch, in order; a line that was cut off is left out."""
        try:
            lines = (self.folder / "journal").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        steps = []
        for line in lines:
            try:
                steps.append(msgspec.json.decode(line, type=Step))
            except msgspec.MsgspecError:
                continue
        return steps

    def forget(self) -> None:
        """Remove all of it, the keys first."""
        for path in (self.key, self.folder / "secrets"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def clusters_folder() -> Path:
    """The folder that has a folder for each cluster that this machine knows."""
    return state_folder() / "clusters"


def known_clusters() -> list[ClusterFile]:
    """Every cluster that this machine knows, by name; what is damaged is left out."""
    found = []
    for path in sorted(clusters_folder().glob("*/cluster.json")):
        try:
            found.append(ClusterState(path.parent.name).read())
        except UsageError:
            continue
    return found


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, at once.

    Raises:
        UsageError: It cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    with _writing(path):
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        new.rename(path)


def _lock(file: IO[str]) -> bool:
    """Lock it; False when a command works under it. One that only looks whether a command does is not one."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        else:
            return True


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Tell in a line what keeps the path from being written."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; TOIL_STATE_DIR says where else all that is kept of clusters shall be") from None
