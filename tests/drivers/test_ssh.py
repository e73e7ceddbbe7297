from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from toil_core.drivers import ssh_connection, ssh_verdicts
from toil_core.errors import KeyRefused, Transient, Unreachable
from toil_core.options import Config
from toil_core.plugins import open_sync_transport
from toil_core.sync_transport import CanForward, CanRsync, HasShell, Place, TransportOptions
from toil_core.testing.ssh_cases import SshCases, SshContract
from toil_core.testing.ssh_server import SshServer


class TestSshTransport(SshContract):
    driver = "ssh"
    abilities = (CanForward, CanRsync, HasShell)


class TestSshHosts(SshCases):
    driver = "ssh"

    def test_no_ssh_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unreachable, match=r"apt-get install openssh-client.*--transport paramiko"):
            open_sync_transport("ssh", Config())

    def test_no_rsync_here(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.opened(folder) as transport:
            transport.run(host.node, ["touch", "f"])
            monkeypatch.setenv("PATH", str(folder))
            with pytest.raises(Unreachable, match="no rsync on this machine"):
                transport.push(host.node, folder / "key", PurePosixPath("f"))
            with pytest.raises(Unreachable, match="no rsync on this machine"):
                transport.pull(host.node, PurePosixPath("f"), folder / "g")

    def test_no_rsync_there(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        for program in ("sh", "touch", "cat", "dirname", "readlink"):
            (folder / "bin" / program).symlink_to(f"/usr/bin/{program}")
        with SshServer(folder / "bare", (folder / "key.pub").read_text(), path=str(folder / "bin")) as host, self.opened(folder) as transport:
            transport.run(host.node, ["touch", "f"])
            with pytest.raises(Unreachable, match="n1 .* has no rsync: install it there"):
                transport.push(host.node, folder / "key", PurePosixPath("f"))
            with pytest.raises(Unreachable, match="n1 .* has no rsync: install it there"):
                transport.pull(host.node, PurePosixPath("f"), folder / "g")

    def test_a_key_that_others_can_read(self, folder: Path, host: SshServer) -> None:
        (folder / "key").chmod(0o644)
        error = self.refusal(folder, host)
        assert isinstance(error, KeyRefused) and f"chmod 600 {folder}/key" in str(error)

    def test_settings_of_the_user(self, folder: Path, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with self.opened(folder, ssh_option=("Ciphers=aes256-ctr", "-4")) as transport:
            transport.run(host.node, ["true"])
        error = self.refusal(folder, host, ssh_option=("NoSuchOption=1",))
        assert isinstance(error, Unreachable) and "nosuchoption" in str(error).lower()

    def test_nothing_outlives_a_killed_process(self, folder: Path, host: SshServer) -> None:
        script = (
            "import os, signal, sys\n"
            "from toil_core.options import Config\n"
            "from toil_core.provisioner import Node\n"
            "from toil_core.drivers.ssh import SshTransport\n"
            "from toil_core.sync_transport import TransportOptions\n"
            "transport = SshTransport(Config([TransportOptions(ssh_identity=(sys.argv[1],))]))\n"
            "transport.run(Node('n1', 't', 'worker', public_address='127.0.0.1', port=int(sys.argv[2])), ['true'])\n"
            "print(transport._folder.path, flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, str(folder / "key"), str(host.port)], capture_output=True, text=True, timeout=60, check=False)
        left = Path(done.stdout.strip())
        assert left.name.startswith("toil-ssh-"), done.stderr
        host.ended(60)
        with self.opened(folder) as transport:
            transport.run(host.node, ["true"])
            assert not left.exists()


@pytest.mark.parametrize(
    ("said", "kind", "match"),
    [
        ("ssh: Could not resolve hostname x: Name or service not known", Unreachable, "nobody knows the name x"),
        ("ssh: Could not resolve hostname x: Temporary failure in name resolution", Transient, "the name x cannot be looked up now"),
        ("ssh: connect to host 1.2.3.4 port 22: Connection refused", Transient, "does not answer: .*refused"),
        ("kex_exchange_identification: Connection closed by remote host\nConnection closed by 1.2.3.4 port 22", Transient, "does not answer"),
        ("me@jump: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535", KeyRefused, "jump host jump does not let me in"),
        ("Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures", KeyRefused, "--ssh-identity"),
        ("Unable to negotiate with 1.2.3.4 port 22: no matching host key type found. Their offer: ssh-rsa", Unreachable, "ssh-rsa"),
        ("", Transient, "the connection was lost"),
    ],
)
def test_what_ssh_means(said: str, kind: type[Exception], match: str) -> None:
    error = ssh_verdicts.connection(said, Place("n1", "1.2.3.4", 22, "me", ()), TransportOptions())
    assert type(error) is kind and re.search(match, str(error))


def test_a_folder_that_was_just_made_is_not_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when another process begins at the same time."""
    made: list[str] = []

    def making(**how: Any) -> str:
        made.append(mkdtemp(**how))
        if len(made) < 3:
            ssh_connection._sweep(Path(made[-1]).parent)
            assert not Path(made[-1]).exists(), "whoever sweeps cannot know better"
        return made[-1]

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", making)
    folder = ssh_connection.Folder()
    assert (len(made), folder.path) == (3, Path(made[2]))
    ssh_connection._sweep(folder.path.parent)
    assert folder.path.is_dir()
    folder.close()
    assert not folder.path.exists()


def test_a_folder_that_is_swept_while_it_is_locked_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flock, removed = fcntl.flock, list[Path]()

    def locking(lock: int, how: int) -> None:
        flock(lock, how)
        if how == fcntl.LOCK_EX and not removed:
            removed.append(Path(f"/proc/self/fd/{lock}").readlink())
            removed[0].rmdir()

    monkeypatch.setattr(fcntl, "flock", locking)
    folder = ssh_connection.Folder()
    assert removed and folder.path.is_dir()
    folder.close()
