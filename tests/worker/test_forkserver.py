"""Fork servers whose hosts are killed: nothing is left of either."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from toil_core.worker import procfs

HOST = """
import select, sys
from pathlib import Path
from toil_core.wire.work import Setup
from toil_core.worker.folders import RunFolder
from toil_core.worker.server_process import ServerProcess

run = RunFolder(Path(sys.argv[1]))
server = ServerProcess(run.path, 1, "memory:x", Setup(module=sys.argv[2], path=(sys.argv[3],)), 1.0, False, "")
select.select([server.sock], [], [])
print(type(next(server.receive())).__name__, flush=True)
sys.stdin.read()
"""
DEADLINE = 60.0


def start(tmp: Path, module: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOST, str(tmp), module, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def kill(host: subprocess.Popen[str], tmp: Path) -> None:
    """Kill the host, and wait until no process of its folder is there."""
    servers = [os.pidfd_open(pid) for pid in procfs.belonging(str(tmp))]
    assert servers
    with host:
        host.kill()
    for server in servers:
        assert select.select([server], [], [], DEADLINE)[0]
        os.close(server)


def test_nothing_is_left_of_a_host_that_was_killed(tmp_path: Path) -> None:
    tmp = tmp_path / "tmp"
    host = start(tmp, "", tmp_path)
    assert host.stdout and host.stdout.readline() == "Ready\n"
    kill(host, tmp)
    assert not list(tmp.iterdir())


def test_nor_of_one_that_was_killed_while_the_modules_were_loaded(tmp_path: Path) -> None:
    tmp, here, go_on = tmp_path / "tmp", tmp_path / "here", tmp_path / "go_on"
    os.mkfifo(here)
    os.mkfifo(go_on)
    (tmp_path / "slow.py").write_text(f"open({str(here)!r}, 'w').close()\nopen({str(go_on)!r}).close()\n")
    host = start(tmp, "slow", tmp_path)
    here.read_text()
    kill(host, tmp)
    assert not list(tmp.iterdir())


def test_a_process_exits_from_its_end_on() -> None:
    process = subprocess.Popen(["sleep", "60"])
    assert not procfs.exiting(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert procfs.exiting(process.pid)
    process.wait()
    assert procfs.exiting(process.pid)
