"""Clusters of the provisioner `local`, used through the command line as a person would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOIL = Path(sys.executable).with_name("toil")


@dataclass
class Clusters:
    """The commands, in a world of their own.

    Args:
        folder: Where state and nodes lie.
        sshd: What `--local-cloud-sshd` is; empty to find one.
    """

    folder: Path
    sshd: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    def toil(self, *words: str, code: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        done = subprocess.run(self.command(*words), input=stdin, capture_output=True, text=True, env=self.environment(), timeout=240, check=False)
        assert code is None or done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def command(self, *words: str) -> Sequence[str]:
        return [str(TOIL), *words]

    def environment(self) -> dict[str, str]:
        more = {"TOIL_LOCAL_CLOUD_SSHD": self.sshd} if self.sshd else {}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TOIL_", "XDG_"))}
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
        return {**inherited, "TOIL_STATE_DIR": str(self.folder / "state"), "XDG_CACHE_HOME": cache, **more, **self.variables}

    def launch(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Launch a cluster whose leader runs the jobs itself."""
        return self.toil("launch-cluster", name, "-p", "local", "--nodeType", "local.small", "--engine", "single_machine", *more)

    def home(self, cluster: str, node: str = "leader") -> Path:
        """A node's disk."""
        return self.folder / "state" / "local-cloud" / cluster / "nodes" / node

    def processes(self) -> list[str]:
        """The command lines of processes that run for nodes of these clusters."""
        lines = []
        for path in Path("/proc").iterdir():
            try:
                is_ours = path.name.isdigit() and f"HOME={self.folder}".encode() in (path / "environ").read_bytes()
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if is_ours or str(self.folder / "state" / "local-cloud") in command:
                    lines.append(command)
            except OSError:
                continue
        return lines

    def destroy_all(self) -> None:
        """Leave nothing."""
        for path in (self.folder / "state" / "local-cloud").glob("*"):
            self.toil("destroy-cluster", path.name, "-p", "local", code=None)
        assert self.processes() == []


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[Clusters]:
    """Nothing of it is left."""
    made = Clusters(tmp_path, "off")
    try:
        yield made
    finally:
        made.destroy_all()


@pytest.fixture
def with_terminal() -> Iterator[None]:
    """The end of the terminal is heeded, here and in what is started from here, also where tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
