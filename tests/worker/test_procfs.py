"""What the kernel tells of processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from toil_core.worker import procfs


def test_a_process_is_found_while_it_becomes_another_program(tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.write_text('#!/bin/sh\nexec "$0"\n')
    again.chmod(0o700)
    with subprocess.Popen([again], env={**os.environ, procfs.MARK: str(tmp_path)}) as process:
        try:
            assert all(process.pid in procfs.belonging(str(tmp_path)) for _ in range(500))
        finally:
            process.kill()


def test_a_process_without_variables_belongs_to_nobody(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    with subprocess.Popen(["/bin/sh", "-c", f"/usr/bin/env -i /bin/sh -c 'echo > {ready}; read forever'"], stdin=subprocess.PIPE) as process:
        ready.read_text()
        assert set(procfs.family(process.pid)).isdisjoint(procfs.belonging(str(tmp_path)))


def test_a_process_exits_whose_first_thread_has_yet_to_take_the_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, rest = Path(f"/proc/{os.getpid()}/stat").read_bytes().rpartition(b") ")
    fields = rest.split()
    assert not procfs.exiting(os.getpid())
    fields[31 - 3] = b"256"  # its 31st field, `signal` in proc(5): SIGKILL is pending
    monkeypatch.setattr(procfs, "_read", lambda _: name + b") " + b" ".join(fields))
    assert procfs.exiting(os.getpid())
