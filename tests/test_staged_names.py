"""Names that tell who made a file."""

from __future__ import annotations

import os
import subprocess
import sys

from toil_core.staged_names import abandoned, staged_name


def test_names_are_different_and_live_as_long_as_their_maker() -> None:
    names = {staged_name() for _ in range(100)}
    assert len(names) == 100
    assert {abandoned(name) for name in names} == {False}
    assert abandoned(f"{min(names)}.reads.fastq") is False


def test_names_of_a_process_that_ended_are_abandoned() -> None:
    code = "from toil_core.staged_names import staged_name; print(staged_name())"
    name = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert abandoned(name) is True


def test_names_of_a_process_that_nobody_buried_are_abandoned() -> None:
    code = "from toil_core.staged_names import staged_name; print(staged_name())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert abandoned(name) is True


def test_nothing_is_said_of_other_machines_and_other_names() -> None:
    machine = staged_name().partition(".")[0]
    for name in ("", "x", "reads.fastq", "0badcafe.1.1", machine, f"{machine}.", f"{machine}.x.1", "." + staged_name()):
        assert abandoned(name) is None
    assert abandoned(f"{machine}.{10**30}.1") is True
