"""Throw-away hosts on one Linux machine, for root: each with a network, processes and files of its own, and a real ssh server.

A host is a network namespace on a bridge, a mount namespace in which an overlay in memory lies over this machine's root (without /root,
/tmp and /run), and namespaces for processes, name and shared memory. `srv/shared` in the lab's folder is `/srv/shared` on every host. All there is to know is
in the folder, so that any process can work on the lab. Nothing that is sent to the lab's network leaves the machine.

Needs openssh-server, rsync, iproute2 and tini.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from toil_core.testing.ssh_server import make_key

_INIT = Path(__file__).with_name("simhost_init.sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
MaxStartups 200:30:400
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
PidFile /run/sshd.pid
"""


def missing() -> str:
    """Why there can be no lab here; empty when there can."""
    if os.geteuid():
        return "only root can make hosts"
    programs = {"sshd": "openssh-server", "rsync": "rsync", "tini": "tini", "ip": "iproute2", "unshare": "util-linux"}
    lacking = [package for program, package in programs.items() if shutil.which(program, path=_PATH) is None]
    return f"install {' '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class Host:
    """A host.

    Args:
        name: Its name.
        number: The last part of its address.
        address: Its address.
        host_key: The public key of its ssh server.
    """

    name: str
    number: int
    address: str
    host_key: str


class Lab:
    """Hosts on a bridge of their own.

    Args:
        folder: Where it lies; made by `up`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts_folder = folder / "hosts"

    def up(self) -> None:
        """Make the bridge."""
        self.hosts_folder.mkdir(parents=True)
        (self.folder / "srv" / "shared").mkdir(parents=True)
        mark, net = f"{random.randrange(1 << 16):04x}", ""
        used = _run("ip", "-4", "-o", "addr").stdout
        while not net or f"{net}." in used:
            net = f"10.77.{random.randint(1, 254)}"
        (self.folder / "lab.json").write_text(json.dumps({"mark": mark, "net": net}))
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{net}.1/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        _run("ip", "route", "replace", "unreachable", f"{net}.0/24", "metric", "9999")  # nothing for it may leave the machine

    def down(self) -> None:
        """Remove everything."""
        for host in self.hosts():
            self.terminate(host.name)
        _run("ip", "route", "del", "unreachable", f"{self._about['net']}.0/24", "metric", "9999", check=False)
        _run("ip", "link", "del", self._bridge, check=False)
        shutil.rmtree(self.folder)

    def hosts(self) -> list[Host]:
        """Every host, also one that is off."""
        return [Host(**json.loads(path.read_text())) for path in sorted(self.hosts_folder.glob("*/host.json"))]

    def in_memory(self) -> list[Path]:
        """The folders of hosts that are on that are not on their disks."""
        pids = [pid for host in self.hosts() if (pid := self._first_process(host.name)) is not None]
        return [Path(f"/proc/{pid}/root/{place}") for pid in pids for place in ("tmp", "run", "dev/shm")]

    def host(self, name: str) -> Host:
        """The host of that name."""
        return Host(**json.loads((self._at(name) / "host.json").read_text()))

    def is_up(self, name: str) -> bool:
        """Whether it is there and on."""
        return self._first_process(name) is not None

    def launch(self, name: str, public_key: str, boot: bytes = b"") -> Host:
        """Make a host and turn it on; its ssh server answers soon.

        Args:
            name: Its name.
            public_key: Whom root's account lets in.
            boot: A script that it runs at its first boot.
        """
        with self.locked("lab"):
            number = min(set(range(2, 255)) - {host.number for host in self.hosts()})
            folder = self._at(name)
            (folder / "disk").mkdir(parents=True)
            (folder / "root").mkdir()
            _run("mount", "-t", "tmpfs", "-o", "size=2g", "simhost", str(folder / "disk"))
            (folder / "disk" / "work").mkdir()
            upper = folder / "disk" / "upper"
            for part in ("etc/ssh", "root/.ssh", "var/lib/simhost"):
                (upper / part).mkdir(parents=True)
            os.chmod(upper, 0o755)
            for part in ("root", "root/.ssh"):
                (upper / part).chmod(0o700)
            os.setxattr(upper / "root", "trusted.overlay.opaque", b"y")
            make_key(upper / "etc/ssh/ssh_host_ed25519_key")
            public = " ".join((upper / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])
            host = Host(name, number, f"{self._about['net']}.{number}", public)
            (folder / "host.json").write_text(json.dumps(asdict(host)))
        (upper / "root/.ssh/authorized_keys").write_text(f"{public_key}\n")
        (upper / "etc/hostname").write_text(f"{name}\n")
        (upper / "etc/hosts").write_text(f"127.0.0.1 localhost\n{host.address} {name}\n")
        (upper / "etc/ssh/sshd_config").write_text(_SSHD)
        if boot:
            (upper / "var/lib/simhost/user-data").write_bytes(boot)
            (upper / "var/lib/simhost/user-data").chmod(0o755)
        self.start(name)
        return host

    def start(self, name: str) -> None:
        """Turn it on, with the disk that it has; returns once it boots."""
        host, folder = self.host(name), self._at(name)
        namespace, wire = self._namespace(host), self._wire(host)
        _run("ip", "netns", "add", namespace)
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _run("ip", "link", "set", wire, "master", self._bridge, "up")
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{host.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            _run("ip", "-n", namespace, *words)
        _run("ip", "-n", namespace, "route", "add", "default", "via", f"{self._about['net']}.1")
        reading, writing = os.pipe()
        command = [
            "ip", "netns", "exec", namespace, "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL",
            "bash", str(_INIT), str(folder), name, str(self.folder / "srv" / "shared"), str(writing),
        ]  # fmt: skip
        with (folder / "console").open("ab") as console:
            process = subprocess.Popen(
                ["/bin/sh", "-c", '"$@" & echo $! >"$0"', str(folder / "pid"), *command],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True, env={"PATH": _PATH}, cwd="/", pass_fds=(writing,),
            )  # fmt: skip
        process.wait()
        os.close(writing)
        with open(reading, "rb") as word:
            assert word.readline() == b"up\n", (folder / "console").read_text()

    def stop(self, name: str) -> None:
        """Take its power away: nobody hears a word from it. Its disk is kept."""
        host = self.host(name)
        _run("ip", "link", "del", self._wire(host), check=False)  # first, so that nobody sees its connections end
        first, outer = self._first_process(name), self._outer(name)
        for pid in (first, outer):
            if pid is not None:
                _kill(pid)
        _run("ip", "netns", "del", self._namespace(host), check=False)

    def terminate(self, name: str) -> None:
        """Take its power and its disk away. Doing it twice is harmless."""
        if not (self._at(name) / "host.json").exists():
            return
        self.stop(name)
        _run("umount", "-l", str(self._at(name) / "disk"), check=False)
        shutil.rmtree(self._at(name))

    def cut(self, name: str) -> None:
        """Let no packet reach it or leave it; both sides wait."""
        _run("ip", "link", "set", self._wire(self.host(name)), "nomaster")

    def heal(self, name: str) -> None:
        """Undo `cut`."""
        _run("ip", "link", "set", self._wire(self.host(name)), "master", self._bridge)

    def slow(self, name: str, rate: str) -> None:
        """Make its network slow: `1mbit`."""
        host = self.host(name)
        limit = ["root", "tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
        _run("tc", "qdisc", "replace", "dev", self._wire(host), *limit)
        _run("ip", "netns", "exec", self._namespace(host), "tc", "qdisc", "replace", "dev", "eth0", *limit)

    def fast(self, name: str) -> None:
        """Undo `slow`."""
        host = self.host(name)
        _run("tc", "qdisc", "del", "dev", self._wire(host), "root", check=False)
        _run("ip", "netns", "exec", self._namespace(host), "tc", "qdisc", "del", "dev", "eth0", "root", check=False)

    def console(self, name: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, without its network."""
        first = self._first_process(name)
        assert first is not None, f"{name} is off"
        return _run("nsenter", "-t", str(first), "-m", "-p", "-u", "-i", "-n", "--", *command, check=False)

    @property
    def _about(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "lab.json").read_text())
        return found

    @property
    def _bridge(self) -> str:
        return f"sim{self._about['mark']}"

    def _namespace(self, host: Host) -> str:
        return f"sim{self._about['mark']}-{host.number}"

    def _wire(self, host: Host) -> str:
        return f"sv{self._about['mark']}-{host.number}"

    def _at(self, name: str) -> Path:
        return self.hosts_folder / name

    def _outer(self, name: str) -> int | None:
        try:
            pid = int((self._at(name) / "pid").read_text())
            return pid if str(self._at(name)).encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    def _first_process(self, name: str) -> int | None:
        """The process that is number 1 on the host."""
        outer = self._outer(name)
        with suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])
        return None

    @contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Be the only one who works on something."""
        with (self.folder / f"{what}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _kill(pid: int) -> None:
    """End a process and wait for its end."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], 30)
        finally:
            os.close(handle)


def _run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, env={"PATH": _PATH}, stdin=subprocess.DEVNULL, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done
