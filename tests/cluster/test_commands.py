"""One cluster, all commands."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Clusters
from tests.docs.blocks import ROOT
from tests.monitor.terminal import Terminal
from toil_core.options import Config
from toil_core.provisioner_options import ClusterOptions
from toil_core.testing.needs import need
from toil_core.testing.ssh_server import missing

KINDS = ("-w", "local.small=1,local.medium:spot=0-2", "--leaderNodeType", "local.small", "--leaderStorage", "30", "--nodeStorage", "20")
SAID = ("-z", "here", "--keyPairName", "mine", "-t", "project=x", "-t", "stage=test", "--owner", "me")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    need(missing())
    made = Clusters(tmp_path_factory.mktemp("shared"))
    try:
        made.launch("shared", *KINDS, *SAID)
        yield made
    finally:
        made.destroy_all()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples" / "words", tmp_path / "words")
    return tmp_path / "words" / "words.py"


def test_it_is_listed_with_its_price(shared: Clusters) -> None:
    (found,) = json.loads(shared.toil("list-clusters", "--json").stdout)
    assert found == {"name": "shared", "provisioner": "local", "state": "ready", "nodes": 2, "price": 0.02}
    assert "shared   local        ready" in shared.toil("list-clusters").stdout


def test_what_was_said_at_the_launch_is_kept(shared: Clusters) -> None:
    told = json.loads((shared.folder / "state" / "clusters" / "shared" / "cluster.json").read_text())
    wanted = Config.from_dict({"options": told["options"]})[ClusterOptions]
    assert wanted == ClusterOptions("local", "here", "mine", ("project=x", "stage=test"), "me")
    assert (told["workers"], told["worker_disk"]) == ("local.small=1-1,local.medium:spot=0-2", 20 << 30)
    tags = json.loads((shared.folder / "state" / "local-cloud" / "shared" / "tags.json").read_text())
    assert tags == {"project": "x", "stage": "test", "Owner": "me"}


def test_its_status(shared: Clusters) -> None:
    told = json.loads(shared.toil("cluster-status", "shared", "--json").stdout)
    assert (told["state"], told["engine"], told["dollars_an_hour"]) == ("ready", "single_machine", 0.02)
    assert [(node["name"], node["role"], node["state"]) for node in told["nodes"]] == [("leader", "leader", "up"), ("worker-1", "worker", "up")]
    assert "worker-1  local.small" in shared.toil("cluster-status", "shared").stdout


def test_a_session_begins_in_the_nodes_home_and_reads_what_is_there(shared: Clusters) -> None:
    """Not the files of the true home of whoever runs the ssh server."""
    need("" if pwd.getpwuid(os.getuid()).pw_shell.endswith("bash") else "a login shell that is bash")
    home = shared.home("shared")
    (home / ".bashrc").write_text("touch ~/read\n")
    try:
        assert shared.toil("ssh-cluster", "shared", "sh", "-c", "echo $HOME; pwd").stdout.split() == [str(home)] * 2
        assert (home / "read").exists()
    finally:
        (home / ".bashrc").unlink()


def test_one_word_with_spaces_is_a_line_for_a_shell(shared: Clusters) -> None:
    assert shared.toil("ssh-cluster", "shared", "echo $TOIL_CLUSTER; exit 3", code=3).stdout == "shared\n"
    assert json.loads(shared.toil("ssh-cluster", "shared", "--json", "cd / && pwd").stdout)["stdout"] == "/\n"
    assert shared.toil("ssh-cluster", "shared", "echo", "a  b; exit 3").stdout == "a  b; exit 3\n"


def test_commands_on_a_node_say_where_to_give_them(shared: Clusters) -> None:
    for words in (("scale-cluster", "shared", "-w", "2"), ("cluster-status", "shared"), ("destroy-cluster", "shared"), ("ssh-cluster", "shared", "true")):
        done = shared.toil("ssh-cluster", "shared", "toil", *words, code=2)
        assert "this is a node of cluster shared" in done.stderr and "on the machine that launched it" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert "this is a node of cluster shared" in shared.toil("ssh-cluster", "shared", "toil", "list-clusters").stdout
    assert "this is a node of cluster shared" in shared.toil("ssh-cluster", "shared", "toil", "scale-cluster", "shared", "-w", "2", "-p", "local", code=2).stderr


def test_a_run_that_is_submitted_goes_on_without_us_and_is_attached_to(shared: Clusters, script: Path) -> None:
    id = shared.toil("submit", "shared", str(script), "file:store", "--text", "voyage.txt", "--parts", "2").stdout.strip()
    assert id.startswith("words-")
    assert '"the":' in shared.toil("attach", "shared").stdout
    assert '"the":' in shared.toil("attach", "shared", id, "--follow").stdout
    (told,) = [run for run in json.loads(shared.toil("cluster-status", "shared", "--json").stdout)["runs"] if run["id"] == id]
    assert (told["state"], told["command"]) == ("ended with code 0", "words.py file:store --text voyage.txt --parts 2")


def test_the_newest_run_is_the_one_that_was_submitted_last(shared: Clusters, tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text("import sys\nprint('here', flush=True)\nprint(input() if sys.argv[1:] else 'quick')\n")
    waits = shared.toil("submit", "shared", str(tmp_path / "say.py"), "long").stdout.strip()
    quick = shared.toil("submit", "shared", str(tmp_path / "say.py")).stdout.strip()
    assert "quick" in shared.toil("attach", "shared", quick).stdout
    terminal = a_terminal(shared, "attach", "shared", waits)
    terminal.until("here")
    terminal.press("late\r")
    assert terminal.end() == 0
    assert "late" in shared.toil("attach", "shared", waits).stdout, "its log was written to last"
    assert "quick" in shared.toil("attach", "shared").stdout
    told = [run["submitted"] for run in json.loads(shared.toil("cluster-status", "shared", "--json").stdout)["runs"]]
    assert told == sorted(told)


def test_a_package_is_submitted_with_the_folder_that_it_is_in(shared: Clusters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "__init__.py").write_text("answer = 42\n")
    (tmp_path / "study" / "__main__.py").write_text("import sys\nfrom study import answer\nprint(answer, sys.argv[1:])\n")
    monkeypatch.chdir(tmp_path)
    id = shared.toil("submit", "shared", "-m", "study", "file:store").stdout.strip()
    assert id.startswith("study-")
    assert "42 ['file:store']" in shared.toil("attach", "shared", id).stdout
    by_file = shared.toil("submit", "shared", "study/__main__.py").stdout.strip()
    assert by_file.startswith("study-")
    assert "No module named 'study'" in shared.toil("attach", "shared", by_file, code=1).stdout  # as `python study/__main__.py` has it


def test_the_exit_code_of_a_run_is_that_of_attach(shared: Clusters, tmp_path: Path) -> None:
    (tmp_path / "fail.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(5)\n")
    id = shared.toil("submit", "shared", str(tmp_path / "fail.py"), "two words", "$HOME", "'").stdout.strip()
    done = shared.toil("attach", "shared", id, code=5)
    assert """['two words', '$HOME', "'"]""" in done.stdout


def test_a_run_whose_session_is_gone_is_lost(shared: Clusters, tmp_path: Path) -> None:
    (tmp_path / "stay.py").write_text("import signal\nprint('here', flush=True)\nsignal.pause()\n")
    id = shared.toil("submit", "shared", str(tmp_path / "stay.py")).stdout.strip()
    told = json.loads(shared.toil("cluster-status", "shared", "--json").stdout)
    assert [run["state"] for run in told["runs"] if run["id"] == id] == ["running"]
    shared.toil("ssh-cluster", "shared", "sh", "-c", 'tmux -L "toil-$(printf %s "$HOME" | cksum | cut -d " " -f 1)" kill-session -t "$1"', "sh", id)
    assert "was lost" in shared.toil("attach", "shared", id, code=1).stderr


def a_terminal(shared: Clusters, *words: str, **variables: str) -> Terminal:
    return Terminal(shared.command(*words), shared.folder, variables={**shared.environment(), **variables})


@pytest.mark.parametrize("kind", ["xterm-256color", "no-such-terminal"])
def test_a_terminal_is_attached_to_a_run_detached_and_attached_again(shared: Clusters, tmp_path: Path, kind: str) -> None:
    (tmp_path / "ask.py").write_text("print('what' + ' now?', flush=True)\nword = input()\nprint('said ' + word)\nraise SystemExit(4)\n")
    id = shared.toil("submit", "shared", str(tmp_path / "ask.py")).stdout.strip()
    first = a_terminal(shared, "attach", "shared", TERM=kind)
    first.until("what now")
    first.press("\x02d")
    first.until(f"run {id} goes on; attach shows it again")
    assert first.end() == 0
    second = a_terminal(shared, "attach", "shared", id, TERM=kind)
    second.until("what now")
    second.press("hello\r")
    assert second.end() == 4
    assert second.text.rstrip().endswith("said hello")
    ended = a_terminal(shared, "attach", "shared", id, TERM=kind)
    assert ended.end() == 4
    assert "what now?" in ended.text
    assert "said hello" in ended.text


def test_a_shell_on_a_terminal_that_forwards_a_port(shared: Clusters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        terminal = a_terminal(shared, "ssh-cluster", "shared", "--forward", str(server.getsockname()[1]))
        terminal.until(r"answers on localhost:\d+\s")
        local = int(terminal.text.partition("localhost:")[2].split()[0])
        terminal.press("stty size; echo in $TOIL_CLUSTER-$((1 + 2)); tty -s && echo terminal-$?\r")
        terminal.until("terminal-0")
        assert "30 100" in terminal.text
        assert "in shared-3" in terminal.text
        with socket.create_connection(("127.0.0.1", local), 30) as here, server.accept()[0] as there:
            there.sendall(b"hello")
            assert here.recv(5) == b"hello"
        terminal.press("exit 5\r")
        assert terminal.end() == 5


def test_ctrl_c_on_a_terminal_is_for_the_command_on_the_node(shared: Clusters) -> None:
    terminal = a_terminal(shared, "ssh-cluster", "shared", "sh", "-c", "trap 'echo caught; exit 3' INT; echo begun; while :; do sleep 1; done")
    terminal.until("begun")
    terminal.press("\x03")
    terminal.until("caught")
    assert terminal.end() == 3


def test_rsync_there_and_back(shared: Clusters, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b").write_text("content")
    shared.toil("rsync-cluster", "shared", "-az", f"{tmp_path}/data/", ":data")
    assert (shared.home("shared") / "data" / "a b").read_text() == "content"
    shared.toil("rysnc-cluster", "--node", "leader", "shared", "-az", ":data/", f"{tmp_path}/back")
    assert (tmp_path / "back" / "a b").read_text() == "content"
    (tmp_path / "data" / ".filter").write_text("- a b\n")
    shared.toil("rsync-cluster", "shared", "-a", "--filter", ": .filter", f"{tmp_path}/data/", ":filtered")
    assert [path.name for path in (shared.home("shared") / "filtered").iterdir()] == [".filter"]
    assert "begins with a colon" in shared.toil("rsync-cluster", "shared", "-a", "a", "b", code=2).stderr
    assert "--node is for toil" in shared.toil("rsync-cluster", "shared", "--node", "leader", "-a", "a", ":a", code=2).stderr
    assert "--transport is for toil" in shared.toil("rsync-cluster", "shared", "-a", "a", ":a", "--transport=ssh", code=2).stderr
    assert "both sides" in shared.toil("rsync-cluster", "shared", "-a", ":a", ":b", code=2).stderr
    assert "--ssh-port 2222 shared" in shared.toil("rsync-cluster", "shared", "-a", "-e", "ssh -p 2222", "a", ":a", code=2).stderr


def test_a_port_of_a_node_answers_here(shared: Clusters) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            with server.accept()[0] as accepted:
                accepted.sendall(b"hello")

        threading.Thread(target=answer, daemon=True).start()
        command = shared.command("ssh-cluster", "shared", "--forward", str(port), "cat")
        done = subprocess.Popen(command, env=shared.environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.stderr is not None
        local = int(done.stderr.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", local), 30) as connection:
            assert connection.recv(5) == b"hello"
        done.communicate("", timeout=200)
        assert done.returncode == 0


def test_a_refused_key_and_a_changed_host_are_a_line_each(shared: Clusters) -> None:
    folder = shared.folder / "state"
    key, record = folder / "clusters" / "shared" / "key", folder / "local-cloud" / "shared" / "records" / "leader" / "record.json"
    before = key.read_bytes()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(shared.folder / "other")], check=True)
    key.write_bytes((shared.folder / "other").read_bytes())
    try:
        done = shared.toil("ssh-cluster", "shared", "true", code=2)
        assert len(done.stderr.splitlines()) == 1
        assert "key" in done.stderr
    finally:
        key.write_bytes(before)
    kept = record.read_text()
    other = json.loads((folder / "local-cloud" / "shared" / "records" / "worker-1" / "record.json").read_text())["host_key"]
    record.write_text(json.dumps({**json.loads(kept), "host_key": other}))
    try:
        done = shared.toil("ssh-cluster", "shared", "true", code=2)
        assert len(done.stderr.splitlines()) == 1
        assert "leader" in done.stderr
    finally:
        record.write_text(kept)


def test_without_the_clusters_own_key_it_is_said_and_nothing_is_made(shared: Clusters) -> None:
    key = shared.folder / "state" / "clusters" / "shared" / "key"
    before = key.read_bytes()
    key.rename(key.with_name("elsewhere"))
    try:
        for words in (("ssh-cluster", "shared", "true"), ("scale-cluster", "shared", "-w", "2", "--nodeType", "local.small")):
            said = shared.toil(*words, code=2).stderr
            assert f"the cluster's own key is not in {key} any more" in said
            assert len(said.splitlines()) == 1
        assert not shared.home("shared", "worker-2").exists()
    finally:
        key.with_name("elsewhere").rename(key)
    assert key.read_bytes() == before


def test_a_cluster_without_its_leader_says_so(tmp_path: Path) -> None:
    alone = Clusters(tmp_path, "off")
    try:
        alone.launch("alone", "-w", "1")
        alone.toil("local-cloud", "kill", "alone", "leader")
        assert "leader gone" in alone.toil("list-clusters").stdout
        for words in (("ssh-cluster", "alone", "true"), ("submit", "alone", __file__), ("scale-cluster", "alone", "-w", "2")):
            said = alone.toil(*words, code=2).stderr
            assert "the leader of cluster alone is gone" in said and "toil destroy-cluster alone" in said
            assert len(said.splitlines()) == 1
        assert "removed node worker-1" in alone.toil("destroy-cluster", "alone").stdout
    finally:
        alone.destroy_all()


def test_a_node_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    alone = Clusters(tmp_path, "off")
    try:
        alone.launch("alone", "-w", "2")
        disk = alone.home("alone", "worker-1")
        disk.rename(tmp_path / "away")
        told = json.loads(alone.toil("cluster-status", "alone", "--json").stdout)
        assert [(node["name"], node["state"]) for node in told["nodes"]] == [("leader", "up"), ("worker-1", "unreachable"), ("worker-2", "up")]
        assert (told["state"], told["launch"], told["trouble"]) == ("ready", "", "")
        assert "unreachable: node worker-1 is not there" in alone.toil("cluster-status", "alone").stdout
        (tmp_path / "away").rename(disk)
        assert "unreachable" not in alone.toil("cluster-status", "alone").stdout
        told = json.loads(alone.toil("cluster-status", "alone", "--transport", "nope", "--json").stdout)
        assert {node["state"] for node in told["nodes"]} == {"up"}
        assert "the nodes cannot be asked whether they answer" in told["trouble"] and "nope" in told["trouble"]
    finally:
        alone.destroy_all()


def test_a_damaged_record_says_how_the_cluster_is_removed_all_the_same(tmp_path: Path) -> None:
    alone = Clusters(tmp_path, "off")
    try:
        alone.launch("alone")
        file = tmp_path / "state" / "clusters" / "alone" / "cluster.json"
        file.write_text("{")
        said = alone.toil("destroy-cluster", "alone", code=2).stderr
        assert f"{file} is damaged" in said and "`toil destroy-cluster alone --provisioner NAME` removes the cluster" in said
        file.unlink()
        assert "removed node leader" in alone.toil("destroy-cluster", "alone", "--provisioner", "local").stdout
        assert not file.parent.exists()
    finally:
        alone.destroy_all()


def test_scale_up_and_down(shared: Clusters) -> None:
    assert shared.toil("scale-cluster", "shared", "-w", "3").stdout == "added worker-2, worker-3\n"
    assert "3" in shared.toil("ssh-cluster", "shared", "--node", "worker-3", "sh", "-c", "echo $((1 + 2))").stdout
    assert shared.toil("scale-cluster", "shared", "-w", "3").stdout == "cluster shared has as many workers already\n"
    assert shared.toil("scale-cluster", "shared", "-w", "1").stdout == "removed worker-3, worker-2\n"
    assert [path.name for path in sorted(shared.home("shared").parent.iterdir())] == ["leader", "worker-1"]
    assert "did you mean local.large" in shared.toil("scale-cluster", "shared", "-w", "local.larg=1", code=2).stderr


def test_another_version_is_refused_where_it_matters(shared: Clusters, script: Path) -> None:
    file = shared.folder / "state" / "clusters" / "shared" / "cluster.json"
    before = file.read_text()
    file.write_text(json.dumps({**json.loads(before), "version": "9.9"}))
    try:
        for words in (("submit", "shared", str(script)), ("scale-cluster", "shared", "-w", "0")):
            assert "cluster shared has toil-core 9.9, and this is" in shared.toil(*words, code=2).stderr
        shared.toil("ssh-cluster", "shared", "true")
    finally:
        file.write_text(before)


def test_bad_input_is_a_line_each(shared: Clusters, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a:b").touch()
    monkeypatch.chdir(tmp_path)
    for words, said in [
        (("attach", "shared", "nope"), "has no run nope"),
        (("attach", "sharde"), "knows of no cluster sharde (did you mean shared?)"),
        (("submit", "shared", "nope.py"), "there is no script nope.py"),
        (("submit", "shared", "/etc/passwd"), "/etc/passwd is not Python"),
        (("submit", "shared"), "which script?"),
        (("submit", "shared", ""), "which script?"),
        (("submit", "shared", str(script), "file:store", "--set-env", "API_KEY=hunter2"), "API_KEY says that it is a secret"),
        (("submit", "shared", "-m", "nope"), "there is no module 'nope' that can be run in"),
        (("ssh-cluster", "shared", "--node", "worker-9", "true"), "has no node worker-9; it has leader, worker-1"),
        (("ssh-cluster", "shared", "--nod", "worker-9", "true"), "unknown option --nod"),
        (("ssh-cluster", "shared", "--forward", "x", "true"), "is no port"),
        (("ssh-cluster",), "required: NAME\n"),
        (("scale-cluster", "shared", "-w", "local.small=1,local.small=2"), "how many of local.small is said twice"),
        (("ssh-cluster", "shared", ""), "an empty text is no command"),
        (("rsync-cluster", "shared", "-a", "a:b", ":"), "the name of a host; write ./a:b"),
        (("launch-cluster", "other", "-p", "local", "--nodeType", "local.small", "--transport", "carrier"), "there is no transport named 'carrier'"),
        (("launch-cluster", "other", "-p", "local", "--nodeType", "local.small", "-w", "99999"), "'99999': a cluster has at the most 10,000 workers"),
        (("local-cloud", "preempt", "shared", "worker-1"), "is not preemptible"),
        (("local-cloud", "kill", "shared", "worker-9"), "has no node worker-9"),
        (("local-cloud", "kill", "sharde", "worker-9"), "there is no cluster sharde on this machine; did you mean shared?"),
        (("scale-cluster", "nothing", "-w", "1", "-p", "local"), "there is nothing of a cluster nothing"),
        (("launch-cluster", "shared", "-p", "local", "--nodeType", "local.small", "-w", "0-"), "'0-' is no number of workers"),
    ]:
        done = shared.toil(*words, code=2)
        assert said in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
