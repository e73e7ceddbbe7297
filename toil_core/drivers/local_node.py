"""A node on this machine while it runs: its ssh server, and the end of everything that was started there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from toil_core.errors import ToilError, UsageError
from toil_core.worker import procfs

MARK = "HOME"
"""The variable that tells to which node a process belongs: its value is the node's disk."""
_SERVERS = ("sshd\n", "sshd-session\n", "sshd-auth\n")
"""What the kernel calls OpenSSH's processes; since 9.8 those of connections have names of their own."""
_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/sbin"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_sshd(chosen: str | None) -> str | None:
    """Absolute path of the ssh server; None when there is none, or none is wanted.

    Args:
        chosen: What the user says: a path, `off`, or None to look where it usually is.

    Raises:
        UsageError: There is none at the path.
    """
    if chosen == "off":
        return None
    if chosen:
        path = shutil.which(os.path.abspath(os.path.expanduser(chosen)))
        if path is None:
            raise UsageError(f"--local-cloud-sshd: there is no ssh server at {chosen}")
        return path
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:{_PLACES}")


def server_files(home: Path, about: Path, address: str, port: int, ssh_key: str) -> dict[str, tuple[bytes, int]]:
    """What the ssh server of a node needs beside its host key, by name: content and mode.

    Args:
        home: The node's disk.
        about: The folder where these files will lie.
        address: The node's address.
        port: Where to listen.
        ssh_key: The public key to let in.
    """
    # HOME is set before the session: else the user's own shell would first read the start-up files of the user's true home
    folder = str(about).replace("%", "%%")
    config = f"""\
ListenAddress {address}
Port {port}
HostKey "{about}/host_key"
AuthorizedKeysFile "{folder}/authorized_keys"
SetEnv "{MARK}={home}"
ForceCommand /bin/sh {shlex.quote(str(about / "session"))}
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UseDNS no
PrintMotd no
MaxStartups 200:30:400
MaxSessions 200
Subsystem sftp {_sftp_server()}
"""
    where = shlex.quote(str(home))
    session = f"""\
export {MARK}={where} TMPDIR={where}/tmp TOIL_PREEMPTION_NOTICE={shlex.quote(str(about / "notice"))}
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_RUNTIME_DIR
mkdir -p "$TMPDIR"
cd "$HOME"
case "$SSH_ORIGINAL_COMMAND" in
    "") exec "${{SHELL:-/bin/sh}}" ;;
    *) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
"""
    return {"sshd_config": (config.encode(), 0o600), "session": (session.encode(), 0o700), "authorized_keys": (f"{ssh_key}\n".encode(), 0o600)}


def make_host_key(folder: Path) -> tuple[bytes, str]:
    """A new private host key, and its public half."""
    path = folder / "host_key"
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    keygen = shutil.which("ssh-keygen")
    if keygen is None:
        raise UsageError("there is an ssh server but no ssh-keygen; install openssh-client, or say --local-cloud-sshd off")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    private, public = path.read_bytes(), path.with_suffix(".pub").read_text()
    path.unlink()
    path.with_suffix(".pub").unlink()
    return private, " ".join(public.split()[:2])


def hold_port(address: str) -> socket.socket:
    """A socket that holds a port of the address: nobody else is given it, but the ssh server may listen there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # Linux lets two sockets that both say so have a port, as long as one listens
    held.bind((address, 0))
    return held


def start(sshd: str, home: Path, about: Path) -> None:
    """Start the ssh server of a node; returns when it listens.

    Raises:
        ToilError: It ended at once; tells why.
    """
    if os.geteuid() == 0:  # where it puts its unprivileged part; Debian makes it when the system's own server starts
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = about / "sshd.log"
    with log.open("wb") as output:
        shell = subprocess.run(
            ["/bin/sh", "-c", '"$@" >/dev/null & echo $!', "sh", sshd, "-D", "-e", "-f", str(about / "sshd_config")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, env=_environment(home), start_new_session=True, cwd="/", check=True,
        )  # fmt: skip
    pid = int(shell.stdout)
    (about / "process").write_text(f"{pid} {procfs.start_time(pid)}")
    address, port = _listens(about)
    deadline = time.monotonic() + 30
    while is_up(about) and time.monotonic() < deadline:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            procfs.await_end(pid, 0.02)
    said = log.read_text(errors="replace").strip().splitlines()
    end(home, about)
    raise ToilError(f"the ssh server of node {home.name} does not start: {said[-1] if said else 'it says nothing'}")


def is_up(about: Path) -> bool:
    """Whether the ssh server of a node runs."""
    try:
        pid, started = (about / "process").read_text().split()
    except (OSError, ValueError):
        return False
    return procfs.start_time(int(pid)) == started


def await_end(about: Path, seconds: float) -> None:
    """Wait until the ssh server of a node has ended, or the time is over."""
    try:
        pid = int((about / "process").read_text().split()[0])
    except (OSError, ValueError):
        pid = 0
    procfs.await_end(pid if is_up(about) else os.getpid(), seconds)


def end(home: Path, about: Path) -> None:
    """End every process of a node, or of all nodes below a folder, as when the power goes.

    Args:
        home: The node's disk, or the folder of all.
        about: The folder of its record, or of all.
    """
    while servers := _servers(about):  # one may have just taken a connection, which lives on in a process of its own
        for pid in servers:
            procfs.kill(pid)
            procfs.await_end(pid)
    procfs.end_all(str(home), MARK)


def is_quiet(home: Path, about: Path) -> bool:
    """Whether nothing runs of the nodes below a folder."""
    return not _servers(about) and next(iter(procfs.belonging(str(home), MARK)), None) is None


def _servers(about: Path) -> list[int]:
    """The processes of ssh servers; they overwrite their environment, but keep their log open."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{name}/comm").read_text() in _SERVERS and Path(os.readlink(f"/proc/{name}/fd/2")).is_relative_to(about):
                found.append(int(name))
        except OSError:  # it has ended, or is not ours
            continue
    return found


def _environment(home: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return {"PATH": _PATH, MARK: str(home), **kept}


def _listens(about: Path) -> tuple[str, int]:
    found = dict(re.findall(r"^(ListenAddress|Port) (\S+)$", (about / "sshd_config").read_text(), re.MULTILINE))
    return found["ListenAddress"], int(found["Port"])


def _sftp_server() -> str:
    places = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server", "/usr/libexec/sftp-server")
    return next((place for place in places if os.access(place, os.X_OK)), places[0])
