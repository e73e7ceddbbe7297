"""What the kernel tells of processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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
