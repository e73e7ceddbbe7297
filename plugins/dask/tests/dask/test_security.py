"""Strangers without certificates, and what listens."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from distributed import Client
from toil_core.errors import UsageError
from toil_core.options import Config

from toil_dask.batch_system import Dask
from toil_dask.connection import Target
from toil_dask.testing import Here


def test_plain_clients_are_refused(here: Here) -> None:
    plain = here.cluster.scheduler.replace("tls://", "tcp://")
    with pytest.raises(UsageError, match=f"Dask scheduler at {plain}.*check --dask-scheduler"):
        Dask(Config(), Target(plain, timeout=2.0))
    with pytest.raises(OSError):
        Client(plain, timeout=2.0)


def test_certificates_of_another_cluster_are_refused(here: Here, tmp_path: Path) -> None:
    other = {name: tmp_path / name for name in here.cluster.secrets}
    for name, data in here.cluster.engine.secrets("other").items():
        other[name].write_bytes(data)
    files = dict(zip(("tls_ca_file", "tls_cert_file", "tls_key_file"), map(str, other.values()), strict=True))
    with pytest.raises(UsageError, match="cannot be used"):
        Dask(Config(), Target(here.cluster.scheduler, files, 2.0))


def test_whoever_shows_no_certificate_is_told_nothing(here: Here, tmp_path: Path) -> None:
    """Not even with the cluster's authority at hand: both sides must show one."""
    for name, data in here.cluster.secrets.items():
        (tmp_path / name).write_bytes(data)
    assert first_word(here.cluster.scheduler, tmp_path, shows=True)
    assert not first_word(here.cluster.scheduler, tmp_path, shows=False)


def first_word(scheduler: str, folder: Path, *, shows: bool) -> bytes:
    """What the scheduler says to a client with the cluster's authority, which shows a certificate or none."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    if shows:
        context.load_cert_chain(str(folder / "certificate.pem"), str(folder / "key.pem"))
    host, port = scheduler.removeprefix("tls://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), 30) as plain:
        try:
            with context.wrap_socket(plain) as talk:
                return talk.recv(1)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_nothing_listens_without_encryption(with_one: Here) -> None:
    here = with_one
    for name in ("leader", "one"):
        pid = here.cluster.processes[name].pid
        ports = {line.split()[3] for line in listening(pid)}
        assert len(ports) == 1, ports


def listening(pid: int) -> list[str]:
    """The TCP sockets of a process that listen."""
    inodes = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            inodes.add(str(path.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    return [f"tcp LISTEN 0 {row[1]}" for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
