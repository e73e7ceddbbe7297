"""What a node's own tool says of the jobs that run there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toil_core.cluster import on_node
from toil_core.drivers.single_machine import SingleMachine
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.testing.batch_system import Run
from toil_core.testing.runners import body, kind

SECONDS = 60.0


def busy() -> int:
    return int(subprocess.run([sys.executable, on_node.__file__, "busy"], stdout=subprocess.PIPE, check=True).stdout)


@pytest.mark.parametrize("isolated", [True, False])
def test_jobs_are_counted_whether_they_share_a_process_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # a node is told by the home of its processes
    assert busy() == 0
    with SingleMachine(Config([EngineOptions(work_dir=str(tmp_path))])) as system:
        run = Run(system, tmp_path, SECONDS)
        of = kind(isolated=isolated)
        go = [run.path(f"go-{number}") for number in (1, 2)]
        started = [run.path(f"started-{number}") for number in (1, 2)]
        requests = [run.request(body("wait", *names), of=of) for names in zip(started, go, strict=True)]
        system.submit(requests)
        for name in started:
            run.await_file(name)
        assert busy() == 2
        Path(go[0]).touch()
        run.ends(requests[:1])
        assert busy() == 1
        Path(go[1]).touch()
        run.ends(requests)
        assert busy() == 0
