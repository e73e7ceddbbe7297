"""Containers: what `docker` is called with, by a program of that name which notes it."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from toil_core.errors import UsageError

from toil.job import Job
from toil.lib import docker

PROGRAM = """#!{python}
import json, sys
from pathlib import Path
calls = Path({calls!r})
with calls.open("a") as stream:
    stream.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "inspect":
    state = Path({state!r})
    if not state.exists():
        sys.exit(1)
    print(state.read_text())
elif "fail" in sys.argv:
    sys.exit(4)
else:
    print("output")
    print("trouble", file=sys.stderr)
"""


class Noted(Job):
    """A job that notes what it defers."""

    def defer(self, function: Any, *args: Any, **kwargs: Any) -> None:
        vars(self).setdefault("deferred", []).append((function, args, kwargs))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "calls"
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, calls=str(path), state=str(tmp_path / "state")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.chdir(tmp_path)
    return path


def words(calls: Path) -> list[list[str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()]


def test_a_call(calls: Path, tmp_path: Path) -> None:
    job = Noted(unitName="a job")
    found = docker.apiDockerCall(
        job, "image:tag", ["-n", "3"], deferParam=docker.RM, working_dir="/data", volumes={"/here": {"bind": "/there", "mode": "ro"}},
        entrypoint="tool", remove=True, user="1:2", environment={"A": "b"}, accelerators=[0, 1], shm_size="1g", stderr=True,
    )  # fmt: skip
    assert set(found.split()) == {b"output", b"trouble"}
    (call,) = words(calls)
    name = call[2]
    assert name.startswith("toil-a-job-")
    assert call == [
        "run", "--name", name, "--workdir", "/data", "--volume", "/here:/there:ro", "--rm", "--user", "1:2", "--env", "A=b",
        "--gpus", '"device=0,1"', "--shm-size=1g", "--entrypoint", "tool", "image:tag", "-n", "3",
    ]  # fmt: skip
    assert job.deferred == [(docker.end, (name, docker.RM), {})]


def test_a_pipe_and_a_file_for_what_is_written(calls: Path, tmp_path: Path) -> None:
    found = docker.apiDockerCall(Noted(), "image", [["echo", "a b"], ["wc", "-l"]], streamfile="out.txt", containerName="mine")
    assert found == "out.txt" and (tmp_path / "out.txt").read_text() == "output\n"
    (call,) = words(calls)
    assert call[:3] == ["run", "--name", "mine"]
    assert call[5:7] == ["--volume", f"{tmp_path}:/data:rw"]
    assert call[7:] == ["--entrypoint", "/bin/bash", "image", "-c", "set -eo pipefail && echo 'a b' | wc -l"]


def test_the_first_form_of_a_call(calls: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job, out = Noted(), BytesIO()
    docker.dockerCall(job, "image", ["x"], workDir=".", outfile=out)
    assert out.getvalue() == b"output\n"
    docker.dockerCall(job, "image")
    assert capfd.readouterr().out == "output\n"
    assert docker.dockerCheckOutput(job, "image", dockerParameters=["--name", "n", "--rm"]) == b"output\n"
    first, _, third = words(calls)
    assert first[:6] == ["run", "--rm", "--log-driver", "none", "--volume", f"{tmp_path}:/data"] and first[-2:] == ["image", "x"]
    assert third == ["run", "--name", "n", "--rm", "image"]
    assert [args[1] for _, args, _ in job.deferred] == [docker.RM, docker.RM]


def test_a_program_that_fails(calls: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        docker.apiDockerCall(Noted(), "image", ["fail"])
    assert failed.value.returncode == 4


def test_ending_containers(calls: Path, tmp_path: Path) -> None:
    assert docker.containerIsRunning("none") is None
    docker.dockerKill("none", remove=True)
    assert [call[0] for call in words(calls)] == ["inspect"] * 3
    calls.unlink()
    (tmp_path / "state").write_text("true")
    docker.end("it", docker.STOP)
    docker.end("it", docker.RM)
    docker.dockerKill("it", gentleKill=True)
    acted = [call for call in words(calls) if call[0] != "inspect"]
    assert acted == [["stop", "it"], ["kill", "it"], ["rm", "--force", "it"], ["stop", "it"]]


def test_without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="`docker` is not installed"):
        docker.apiDockerCall(Noted(), "image")
