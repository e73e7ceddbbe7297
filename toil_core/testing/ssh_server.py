"""Real ssh servers for tests, run as the user who tests: each a host of its own, with a home, a host key and a port.

The port is ours and always open at once; each connection gets an `sshd -i` of its own. Needs openssh-server.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from toil_core.provisioner import Node

PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def missing() -> str:
    """What must be installed for this to work; empty when nothing."""
    packages = {"sshd": "openssh-server", "ssh-keygen": "openssh-client", "rsync": "rsync"}
    lacking = [package for program, package in packages.items() if shutil.which(program, path=PLACES) is None]
    return f"install {' '.join(lacking)}" if lacking else ""


def make_key(path: Path, kind: str = "ed25519") -> str:
    """Make a pair of keys; the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)], check=True, stdin=subprocess.DEVNULL)
    return Path(f"{path}.pub").read_text().strip()


class SshServer:
    """A host that lets a key in; close it with `with` or `close`.

    Args:
        folder: Where its files are made: `home`, `host_key` and so on.
        public_key: Whom to let in.
        name: The node's name.
        address: The loopback address it listens at.
        path: The PATH of its sessions.
        ports: At how many ports it listens: it can stand for as many hosts.
        sessions: How many a connection may have at a time.
    """

    def __init__(
        self, folder: Path, public_key: str, name: str = "n1", address: str = "127.0.0.1", path: str = "/usr/local/bin:/usr/bin:/bin", ports: int = 1,
        sessions: int = 10,
    ) -> None:  # fmt: skip
        self.name, self.folder, self.home, self.address = name, folder, folder / "home", address
        self._path, self._most = path, sessions
        self.home.mkdir(parents=True, exist_ok=True)
        (folder / "authorized_keys").write_text(f"{public_key}\n")
        self.new_host_key()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._servers = [socket.create_server((address, 0), family=family) for _ in range(ports)]
        self.port: int = self._servers[0].getsockname()[1]
        self._sessions: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self.connections = 0
        """How many there have been."""
        self._accepting = [threading.Thread(target=self._accept, args=(server,), daemon=True) for server in self._servers]
        for thread in self._accepting:
            thread.start()

    @property
    def node(self) -> Node:
        """It, as a provisioner would tell of it."""
        return Node(self.name, "test", "worker", public_address=self.address, port=self.port, user=getpass.getuser())

    @property
    def nodes(self) -> list[Node]:
        """A node for each port."""
        return [replace(self.node, name=f"{self.name}-{number}", port=server.getsockname()[1]) for number, server in enumerate(self._servers)]

    @property
    def host_key(self) -> str:
        """Its public host key."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def new_host_key(self) -> None:
        """Become another host."""
        for name in ("host_key", "host_key.pub"):
            (self.folder / name).unlink(missing_ok=True)
        make_key(self.folder / "host_key")
        self._write()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process that serves a connection: SIGKILL loses them, SIGSTOP makes the host silent."""
        with self._lock:
            for session in self._sessions:
                with suppress(ProcessLookupError):
                    os.killpg(session.pid, number)

    def ended(self, seconds: float) -> None:
        """Return when every connection that there was has ended.

        Raises:
            subprocess.TimeoutExpired: One goes on after that many seconds.
        """
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.wait(seconds)

    def close(self) -> None:
        """End it and its connections."""
        for server, thread in zip(self._servers, self._accepting, strict=True):
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()
            server.close()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        for session in self._sessions:
            session.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _accept(self, server: socket.socket) -> None:
        sshd = shutil.which("sshd", path=PLACES)
        assert sshd, missing()
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer, self._lock:
                self.connections += 1
                self._sessions = [session for session in self._sessions if session.poll() is None]
                command = [sshd, "-i", "-e", "-f", str(self.folder / "sshd_config")]
                with (self.folder / "log").open("ab") as log:
                    session = subprocess.Popen(command, stdin=peer.fileno(), stdout=peer.fileno(), stderr=log, env={"PATH": self._path}, start_new_session=True)
                self._sessions.append(session)

    def _write(self) -> None:
        home = shlex.quote(str(self.home))
        (self.folder / "session").write_text(
            f"export HOME={home} PATH={shlex.quote(self._path)}; cd {home}\n"
            'case "$SSH_ORIGINAL_COMMAND" in "") exec /bin/sh -l ;; *) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND" ;; esac\n'
        )
        sftp = next((path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server") if os.path.exists(path)), "internal-sftp")
        lines = {
            "HostKey": self.folder / "host_key",
            "AuthorizedKeysFile": self.folder / "authorized_keys",
            "ForceCommand": f"/bin/sh {shlex.quote(str(self.folder / 'session'))}",
            "PermitRootLogin": "prohibit-password",
            **dict.fromkeys(("UsePAM", "PasswordAuthentication", "KbdInteractiveAuthentication", "StrictModes", "UseDNS", "PrintMotd"), "no"),
            "MaxSessions": self._most,
            "AcceptEnv": "*",
            "SetEnv": f'"HOME={self.home}"',  # or the login shell reads what this machine's user has for every shell
            "Subsystem": f"sftp {sftp}",
        }
        (self.folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
