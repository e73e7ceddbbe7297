"""A cluster on simulated hosts, driven by the command line over real ssh."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from tests.cluster.simhost_plugin import FOLDER
from tests.cluster.simhosts import Lab
from tests.docs.blocks import ROOT
from tests.fake_plugins import add_plugin
from toil_core.worker.procfs import MARK

TOIL = Path(sys.executable).with_name("toil")
MOST_WORKERS = 20


class RealCluster:
    """The commands for one cluster.

    Args:
        lab: Where its hosts are.
        folder: For what the commands leave here.
        canary: A secret that is in the environment of every command.
        name: The cluster's name.
    """

    def __init__(self, lab: Lab, folder: Path, canary: str, name: str = "real") -> None:
        self.lab, self.folder, self.canary, self.name = lab, folder, canary, name
        self.shared = lab.folder / "srv" / "shared"
        (folder / "plugins").mkdir()
        add_plugin(folder / "plugins", "toil-simhost", {"toil.provisioner": {"simhost": "tests.cluster.simhost_plugin:SimhostProvisioner"}}, {})
        os.mkfifo(self.shared / "began")
        self._began = os.open(self.shared / "began", os.O_RDWR | os.O_NONBLOCK)
        self._go: dict[str, int] = {}
        for node in ("leader", *(f"worker-{number}" for number in range(1, MOST_WORKERS))):
            path = self.shared / f"go-{name}.{node}"
            os.mkfifo(path)
            self._go[node] = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def environment(self) -> dict[str, str]:
        """What its commands see."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOIL_", "XDG_"))}
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
        ours = {FOLDER: str(self.lab.folder), "PYTHONPATH": f"{self.folder / 'plugins'}:{ROOT}", "TOIL_STATE_DIR": str(self.folder / "state")}
        return {**kept, **ours, "XDG_CACHE_HOME": cache, "CANARY_TOKEN": self.canary}

    def toil(self, command: str, *words: str, code: int | None = 0, seconds: float = 200) -> subprocess.CompletedProcess[str]:
        """Run `toil COMMAND NAME WORDS…` to its end."""
        done = subprocess.run(
            [str(TOIL), command, self.name, *words], capture_output=True, text=True, env=self.environment(), timeout=seconds, check=False, stdin=subprocess.DEVNULL
        )
        assert code is None or done.returncode == code, f"toil {command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def status(self) -> dict[str, object]:
        """What `toil cluster-status` tells."""
        found: dict[str, object] = json.loads(self.toil("cluster-status", "--json").stdout)
        return found

    def nodes(self) -> list[dict[str, str]]:
        """What that tells of its nodes."""
        nodes = self.status()["nodes"]
        assert isinstance(nodes, list)
        return nodes

    def workers(self) -> list[str]:
        """The names of its workers."""
        return [node["name"] for node in self.nodes() if node["role"] == "worker"]

    def scaled(self, count: int) -> list[str]:
        """The names of its workers, once they are so many."""
        self.toil("scale-cluster", "-w", str(count))
        workers = self.workers()
        assert len(workers) == count
        return workers

    def states(self) -> dict[str, str]:
        """The state of each node."""
        return {node["name"]: node["state"] for node in self.nodes()}

    def submit(self, script: Path, *words: str) -> str:
        """Start a run; its name."""
        return self.toil("submit", str(script), *words).stdout.strip()

    def follow(self, run: str) -> subprocess.Popen[str]:
        """A process that prints what a run says until it ends."""
        return subprocess.Popen(
            [str(TOIL), "attach", self.name, run, "--follow"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment(), stdin=subprocess.DEVNULL
        )

    def began(self, count: int, seconds: float = 90) -> list[tuple[int, str]]:
        """The next jobs that began to hold: their numbers and nodes, once there are so many."""
        found = b""
        deadline = monotonic() + seconds
        while found.count(b"\n") < count:
            assert select.select([self._began], [], [], max(0.0, deadline - monotonic()))[0], f"of {count} jobs only these began: {found!r}"
            found += os.read(self._began, 1)
        return [(int(number), host.removeprefix(f"{self.name}.")) for number, host in map(str.split, found.decode().splitlines())]

    def let(self, nodes: Sequence[str]) -> None:
        """Let jobs on these nodes go on, now and until `hold`."""
        for node in nodes:
            os.write(self._go[node], bytes(1000))

    def hold(self) -> None:
        """Let no job go on until `let` says so again, and forget which have begun."""
        for pipe in (self._began, *self._go.values()):
            with suppress(BlockingIOError):
                while os.read(pipe, 4096):
                    pass

    def host(self, node: str) -> str:
        """The name of a node's host."""
        return f"{self.name}.{node}"

    def listening(self, node: str) -> set[tuple[str, int]]:
        """Where a node's programs listen for TCP: addresses and ports."""
        said = self.lab.console(self.host(node), ["cat", "/proc/net/tcp", "/proc/net/tcp6"]).stdout
        rows = [row for row in map(str.split, said.splitlines()) if row[3] == "0A"]
        return {(_address(bytes.fromhex(place)), int(port, 16)) for place, port in (row[1].split(":") for row in rows)}

    def where(self, secret: str) -> list[str]:
        """Every file of a host, of the place they share and of this cluster's state here, and every process on a host, that shows a text."""
        places = [*self.lab.hosts_folder.glob("*/disk/upper"), *self.lab.in_memory(), self.shared, self.folder / "state"]
        found = subprocess.run(
            ["grep", "-rlF", "-D", "skip", "-e", secret, *map(str, places)], capture_output=True, text=True, timeout=240, check=False
        ).stdout.splitlines()
        return found + [str(path) for path in self._told_processes() if secret.encode() in _read(path)]

    def processes_of_jobs(self) -> list[int]:
        """Every process on a host that runs jobs, or has jobs run."""
        return [int(path.parent.name) for path in self._told_processes() if path.name == "environ" and f"{MARK}=".encode() in _read(path)]

    def _told_processes(self) -> Iterator[Path]:
        """What the processes on hosts were told: their environments and command lines."""
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdigit() and os.readlink(process / "ns/pid") != os.readlink("/proc/self/ns/pid"):
                    yield from (process / "environ", process / "cmdline")

    def close(self) -> None:
        """Let go of the pipes."""
        for pipe in (self._began, *self._go.values()):
            os.close(pipe)


def _address(words: bytes) -> str:
    """An address as the kernel shows it: words of four bytes in this machine's order."""
    number = b"".join(words[start : start + 4][:: -1 if sys.byteorder == "little" else 1] for start in range(0, len(words), 4))
    return socket.inet_ntop(socket.AF_INET if len(number) == 4 else socket.AF_INET6, number)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
