"""Every subcommand has `--json`, and prints nothing but JSON then, whatever became of the leader."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Clusters
from tests.monitor import stores
from tests.monitor.terminal import TOIL, WORKFLOW, environment, piped
from toil_core.cli import configure, main
from toil_core.option_parser import OptionParser
from toil_core.plugins import commands

HERE = {
    "config": ["config", "--json"],
    "completion": ["completion", "fish", "--json"],
    "plugins": ["plugins", "--json"],
    "bundle": ["bundle", "--json", "b.tar", "--engine", "single_machine"],
    "doctor": ["doctor", "--json"],
    "list-clusters": ["list-clusters", "--json"],
    "run": ["run", "--json", str(WORKFLOW), "new"],
}
"""A call of each command that is about this machine."""
OF_STORES = {
    "status": ["status", "s", "--json"],
    "why": ["why", "s", "--json"],
    "logs": ["logs", "s", "--json"],
    "stats": ["stats", "s", "--json"],
    "report": ["report", "s", "--json"],
    "debug-job": ["debug-job", "s", "JOB", "--print-job-info", "--json"],
    "dashboard": ["dashboard", "s", "--no-browser", "--json"],
    "doctor": ["doctor", "s", "--json"],
    "clean": ["clean", "s", "--dry-run", "--json"],
    "kill": ["kill", "s", "--json"],
}
"""A call of each command that is about a job store; `kill` comes last."""
OF_CLUSTERS = {
    "launch-cluster": ["launch-cluster", "c", "-p", "local", "--nodeType", "local.small", "--engine", "single_machine", "-w", "2", "--json"],
    "list-clusters": ["list-clusters", "--json"],
    "ssh-cluster": ["ssh-cluster", "c", "--json", "sh", "-c", "echo out; echo err >&2; exit 7"],
    "rsync-cluster": ["rsync-cluster", "--json", "c", "-v", "data", ":data"],
    "rysnc-cluster": ["rysnc-cluster", "--json", "c", "-v", ":data", "back"],
    "submit": ["submit", "c", "--json", "script.py"],
    "attach": ["attach", "c", "--json"],
    "cluster-status": ["cluster-status", "c", "--json"],
    "scale-cluster": ["scale-cluster", "c", "-w", "1", "--json"],
    "local-cloud": ["local-cloud", "kill", "c", "worker-1", "--json"],
    "destroy-cluster": ["destroy-cluster", "c", "--json"],
}
"""A call of each command that is about a cluster, in the order of a cluster's life."""


def only_json(ended: subprocess.CompletedProcess[str], *, code: int = 0) -> Any:
    """What a command printed: one value, or an object on each line."""
    assert ended.returncode == code, ended.stderr
    try:
        return json.loads(ended.stdout)
    except json.JSONDecodeError:
        return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_command_is_walked() -> None:
    assert {command.name for command in commands()} == {*HERE, *OF_STORES, *OF_CLUSTERS}


@pytest.mark.parametrize("name", [*HERE, *OF_STORES, *OF_CLUSTERS])
def test_it_is_offered(name: str) -> None:
    parser = OptionParser(name)
    configure(parser, next(command for command in commands() if command.name == name))
    assert parser.taken("--json")


@pytest.mark.parametrize("name", HERE)
def test_of_this_machine(name: str, tmp_path: Path) -> None:
    assert only_json(piped(*HERE[name], cwd=tmp_path, TOIL_STATE_DIR=str(tmp_path / "state"))) is not None


@contextmanager
def waiting(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A leader with one job that waits; all others are done."""
    words = [*TOIL, "run", str(WORKFLOW), "s", "--gate", str(folder / "gate"), "--disable-progress", "--events", "/dev/stdout"]
    with subprocess.Popen(words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            ended = 0
            while ended < 3:  # the first, and two of the three that it adds
                line = process.stdout.readline()
                assert line, "it ended"
                ended += "JobDone" in line
            yield process
        finally:
            process.kill()


def running(folder: Path) -> Iterator[None]:
    """A leader is at work, and a job of its waits."""
    with waiting(folder) as process:
        yield
        assert process.wait(60) == 143


def dead(folder: Path) -> Iterator[None]:
    """The leader was killed."""
    with waiting(folder):
        pass
    yield


def never(folder: Path) -> Iterator[None]:
    """A workflow was begun, and no leader took it up."""
    stores.begun(folder / "s")
    yield


@pytest.mark.parametrize("leader", [running, dead, never])
def test_of_a_job_store(
    leader: Callable[[Path], Iterator[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job = "top" if leader is never else "leaf"
    monkeypatch.chdir(tmp_path)

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        """Run a command; in a process of its own, which costs far more, in one of the cases only."""
        if leader is running:
            return piped(*words, cwd=tmp_path)
        code = main(words)
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    for _ in leader(tmp_path):
        told = {}
        for name, words in OF_STORES.items():
            if name == "dashboard":
                told[name] = served(words, tmp_path)
                continue
            if name == "clean" and leader is running:
                assert "a leader works on s" in called(*words).stderr
                continue
            told[name] = only_json(called(*(job if word == "JOB" else word for word in words)))
    assert told["status"]["leader"]["state"] == {"running": "running", "dead": "dead", "never": "none"}[leader.__name__]
    assert told["kill"]["fate"] == ("ended" if leader is running else "over")
    assert told["debug-job"]["name"] == job
    assert told["dashboard"]["url"].startswith("http://127.0.0.1:")


def served(words: list[str], folder: Path) -> Any:
    """What the dashboard prints before it serves until it is asked to end."""
    with subprocess.Popen([*TOIL, *words], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
        assert process.stdout.read() == ""
        assert process.wait(60) == 0
    return json.loads(line)


@pytest.mark.parametrize("name", [name for name in OF_STORES if name not in ("doctor", "clean")])
def test_where_nothing_is_stored_that_is_one_line(name: str, tmp_path: Path) -> None:
    ended = piped(*OF_STORES[name], cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    assert "s" in ended.stderr


def test_of_a_cluster(tmp_path: Path) -> None:
    clusters = Clusters(tmp_path, "off")
    (tmp_path / "data").write_text("data")
    (tmp_path / "script.py").write_text("print('said')\nraise SystemExit(3)\n")
    told = {}
    try:
        for name, words in OF_CLUSTERS.items():
            codes = {"ssh-cluster": 7, "attach": 3}
            ended = subprocess.run(clusters.command(*words), cwd=tmp_path, env=clusters.environment(), text=True, capture_output=True, timeout=240, check=False)
            told[name] = only_json(ended, code=codes.get(name, 0))
            assert ("said" in ended.stderr) == (name == "attach")
    finally:
        clusters.destroy_all()
    assert [node["name"] for node in told["launch-cluster"]["nodes"]] == ["leader", "worker-1", "worker-2"]
    assert told["ssh-cluster"] == {"name": "c", "node": "leader", "exit_code": 7, "stdout": "out\n", "stderr": "err\n"}
    assert (tmp_path / "back").read_text() == "data"
    assert (told["attach"]["id"], told["attach"]["exit_code"]) == (told["submit"]["run"], 3)
    assert told["scale-cluster"] == {"name": "c", "added": [], "failed": {}, "removed": ["worker-2"]}
    assert told["local-cloud"] == {"name": "c", "node": "worker-1", "done": "killed"}
    assert told["destroy-cluster"]["removed"] is True


def test_the_options_with_their_values_and_where_these_come_from(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[engine]\ndefault-memory = '1 GiB'\n")
    told = only_json(piped("config", "--json", "--config", "c.toml", cwd=tmp_path, TOIL_RETRY_COUNT="4"))
    found = {(option["group"], option["name"]): option for option in told["options"]}
    assert told["config_file"] == "c.toml"
    assert [found["engine", name]["source"] for name in ("default-memory", "retry-count", "clean")] == ["config file", "environment", "default"]
    assert [found["engine", name]["value"] for name in ("default-memory", "retry-count", "clean")] == [1 << 30, 4, "onSuccess"]
    assert found["engine", "clean"]["type"] == "choice"
    assert "--retryCount" in found["engine", "retry-count"]["flags"]
    bad = piped("config", "--json", cwd=tmp_path, TOIL_RETRY_COUNT="x")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert only_json(piped("config", "new.toml", "--json", cwd=tmp_path)) == {"file": "new.toml"}


def test_a_run_that_succeeds_and_one_that_fails(tmp_path: Path) -> None:
    told = only_json(piped("run", "--json", WORKFLOW, "s", "--jobs", "2", cwd=tmp_path))
    assert (told["exit_code"], told["error"]) == (0, None)
    assert {name: told["runs"][0][name] for name in ("state", "total", "done", "failed", "value")} == {
        "state": "succeeded", "total": 3, "done": 3, "failed": 0, "value": [0, 1],
    }  # fmt: skip
    failed = piped("run", "--json", WORKFLOW, "s", "--fail", "--retry-count", "0", cwd=tmp_path)
    told = only_json(failed, code=1)
    assert "one is bad" in told["error"] and told["error"] in failed.stderr
    assert [(run["state"], run["failed"], run["value"]) for run in told["runs"]] == [("failed", 1, None)]
    refused = only_json(piped("run", "--json", WORKFLOW, "s", cwd=tmp_path), code=2)
    assert "holds a workflow already" in refused["error"] and refused["runs"] == []


def test_a_restart_with_nothing_left_to_do(tmp_path: Path) -> None:
    assert piped("run", WORKFLOW, "s", "--jobs", "1", "--clean", "never", cwd=tmp_path).returncode == 0
    (run,) = only_json(piped("run", "--json", WORKFLOW, "s", "--restart", cwd=tmp_path))["runs"]
    assert (run["restarted"], run["state"], run["total"], run["done"], run["value"]) == (True, "succeeded", 2, 2, [0])


CLASSIC = """
import os
from toil_core import Toil, job

@job
def note(job, text):
    return job.files.write(text)

@job
def odd(job):
    return {1j: float("nan")}

if __name__ == "__main__":
    os.write(1, b"straight to the descriptor\\n")
    for number, root in enumerate((note("text"), odd())):
        with Toil({}, f"file:{number}") as toil:
            print(toil.start(root))
    raise KeyError("mine")
"""


def test_a_classic_script_tells_each_of_its_runs_and_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(CLASSIC)
    ended = piped("run", "--json", "script.py", cwd=tmp_path)
    told = only_json(ended, code=1)
    assert told["error"] == "KeyError: 'mine'"
    assert [run["job_store"].rpartition("/")[2] for run in told["runs"]] == ["0", "1"]
    assert told["runs"][0]["value"]["size"] == 4
    assert told["runs"][1]["value"] == "{1j: nan}"
    assert "straight to the descriptor" in ended.stderr and "Traceback" in ended.stderr


@pytest.mark.parametrize(("leaves", "code", "error"), [("0", 0, None), ("", 0, None), ("5", 5, None), ("'why'", 1, "why")])
def test_a_script_that_leaves(leaves: str, code: int, error: str | None, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"import sys\nsys.exit({leaves})\n")
    assert only_json(piped("run", "--json", "script.py", cwd=tmp_path), code=code) == {"exit_code": code, "error": error, "runs": []}
