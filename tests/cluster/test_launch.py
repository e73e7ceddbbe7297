from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import Clusters
from toil_core.cli import main


def test_launch_enter_destroy(clusters: Clusters) -> None:
    said = clusters.launch("demo", "-w", "2-4").stderr
    assert "local.small=2-4: 2 were launched; nothing adds more by itself yet, `toil scale-cluster demo` does" in said
    assert clusters.toil("ssh-cluster", "demo", "sh", "-c", "echo $TOIL_BATCH_SYSTEM in $PWD").stdout.strip() == f"single_machine in {clusters.home('demo')}"
    assert clusters.toil("ssh-cluster", "demo", "--node", "worker-2", "--", "sh", "-c", "exit 7", code=7)
    assert clusters.toil("ssh-cluster", "demo", "toil", "--version").stdout.startswith("toil ")
    assert clusters.toil("ssh-cluster", "demo", "cat", stdin="through").stdout == "through"
    shown = clusters.toil("destroy-cluster", "demo", "--dry-run").stdout
    assert "would remove node worker-2" in shown
    assert clusters.home("demo").is_dir()
    clusters.toil("destroy-cluster", "demo")
    assert clusters.processes() == []
    assert list((clusters.folder / "state" / "clusters").iterdir()) == []
    assert list((clusters.folder / "state" / "local-cloud").iterdir()) == []
    assert "there is nothing of a cluster demo" in clusters.toil("destroy-cluster", "demo", "-p", "local", code=2).stderr


def test_a_taken_name_and_what_is_secret(clusters: Clusters) -> None:
    clusters.launch("demo")
    folder = clusters.folder / "state" / "clusters" / "demo"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (folder / "key", folder / "cluster.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((clusters.home("demo") / ".toil").stat().st_mode) == 0o700
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "--engine", "single_machine")
    assert "there is a cluster demo already" in clusters.toil(*words, code=2).stderr
    (clusters.folder / "state" / "clusters").rename(clusters.folder / "elsewhere")
    (found,) = json.loads(clusters.toil("list-clusters", "-p", "local", "--json").stdout)
    assert (found["name"], found["state"], found["nodes"]) == ("demo", "elsewhere", 1)
    assert "launched from elsewhere" in clusters.toil(*words, code=2).stderr
    assert clusters.toil("ssh-cluster", "demo", "-p", "local", "pwd").stdout.strip() == str(clusters.home("demo"))
    clusters.toil("destroy-cluster", "demo", "-p", "local")


def test_a_launch_that_was_killed_goes_on(clusters: Clusters) -> None:
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "-w", "2", "--engine", "single_machine")
    process = subprocess.Popen(clusters.command(*words), env=clusters.environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "worker-1/machine" in line:
            break
    process.kill()
    process.communicate()
    made = sorted(path.name for path in clusters.home("demo").parent.iterdir())
    assert made == ["leader", "worker-1", "worker-2"]
    refused = clusters.toil("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "-w", "3", "--engine", "single_machine", code=2)
    assert "was interrupted, and it had other nodes" in refused.stderr
    assert "goes on with the launch" in clusters.toil(*words).stderr
    assert "worker-2" in clusters.toil("ssh-cluster", "demo", "--node", "worker-2", "pwd").stdout


def test_a_launch_that_is_asked_to_end_takes_everything_back(clusters: Clusters) -> None:
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "-w", "2", "--engine", "single_machine")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen(clusters.command(*words), env=clusters.environment(), stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "worker-1/machine" in line:
                break
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=200)
        assert process.returncode == code, said
        assert "what was made is removed" in said
        assert not clusters.home("demo").exists()
        assert not (clusters.folder / "state" / "clusters" / "demo").exists()
        assert clusters.processes() == []


@pytest.mark.usefixtures("with_terminal")
def test_a_launch_whose_terminal_is_gone_takes_everything_back(clusters: Clusters) -> None:
    """Nobody reads its lines any more, and nobody would know of its machines."""
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "-w", "2", "--engine", "single_machine")
    process = subprocess.Popen(clusters.command(*words), env=clusters.environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        process.stderr.readline()
        process.stderr.close()
        os.kill(process.pid, signal.SIGHUP)
        assert process.wait(200) == 129
    assert not clusters.home("demo").parent.parent.exists()
    assert not (clusters.folder / "state" / "clusters" / "demo").exists()
    assert clusters.processes() == []


def test_a_launch_that_nobody_listens_to_comes_to_its_end(clusters: Clusters) -> None:
    words = ("launch-cluster", "demo", "-p", "local", "--nodeType", "local.small", "-w", "1", "--engine", "single_machine")
    process = subprocess.Popen(clusters.command(*words), env=clusters.environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.close()
    with process:
        assert process.stdout is not None
        assert process.stdout.read() == "cluster demo is ready: a leader and 1 worker\n"
        assert process.wait(200) == 0


def test_bad_input_is_a_line_each_and_leaves_nothing(clusters: Clusters, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TOIL_STATE_DIR", str(clusters.folder / "state"))
    monkeypatch.setenv("TOIL_LOCAL_CLOUD_SSHD", "off")
    local = ("-p", "local", "--engine", "single_machine")
    for words, said in [
        (("launch-cluster", "My_Cluster", *local), "my-cluster would do"),
        (("launch-cluster", "demo", *local), "--node-type TYPE says it"),
        (("launch-cluster", "demo", *local, "--nodeType", "local.smal"), "did you mean local.small"),
        (("launch-cluster", "demo", *local, "--nodeType", "local.small:0.0001", "-w", "1"), "below the present price"),
        (("launch-cluster", "demo", *local, "--nodeType", "local.small", "-w", "many"), "is no number of workers"),
        (("launch-cluster", "demo", "--nodeType", "local.small"), "--provisioner NAME says it"),
        (("launch-cluster", "demo", "-p", "locl", "--nodeType", "local.small"), "did you mean local?"),
        (("launch-cluster", "demo", "-p", "local", "--engine", "dusk", "--nodeType", "local.small"), "there is no engine named 'dusk'"),
        (("launch-cluster", "demo", *local, "--nodeType", "local.small", "--python-requirements", "/nowhere"), "/nowhere cannot be read"),
        (("ssh-cluster", "demo"), "this machine knows of no cluster demo"),
        (("ssh-cluster", "demo", "-p", "local"), "there is nothing of a cluster demo"),
        (("destroy-cluster", "../demo"), "cannot be named"),
    ]:
        assert main(words) == 2
        printed = capsys.readouterr().err
        assert said in printed, printed
        assert len(printed.splitlines()) == 1
    assert not list((clusters.folder / "state" / "clusters").glob("*"))


def test_what_is_required_comes_along_and_a_canary_secret_does_not(clusters: Clusters, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("mappy  # an aligner\n")
    clusters.variables["CANARY_SECRET"] = "tweet-71c9"
    clusters.launch("demo", "-w", "1", "--python-requirements", str(tmp_path / "requirements.txt"))
    assert clusters.toil("ssh-cluster", "demo", "python", "-c", "import mappy; print(mappy.__file__)").stdout.startswith(str(clusters.home("demo")))
    nodes = clusters.home("demo").parent.parent
    found = subprocess.run(["grep", "-rlaF", "tweet-71c9", str(nodes)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert "CANARY" not in clusters.toil("ssh-cluster", "demo", "env").stdout
    for line in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = line.read_bytes()
        except OSError:
            continue
        assert not (f"HOME={clusters.folder}".encode() in content and b"tweet-71c9" in content)
