"""Two leaders on one store, leaders that sleep while another takes over, and attempts that commit too late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO

from tests.faults.runs import DEADLINE, Run, end_of
from toil_core.batch_system import Reason
from toil_core.drivers.file import FileJobStore
from toil_core.leader.checkpoints import load
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.moves import Submit
from toil_core.leader.retries import Policy
from toil_core.options import Config
from toil_core.wire import commits, keys, work


def test_second_leader_is_refused_and_the_first_is_unharmed(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=5)
    run.halt(4)
    first = run.start()
    body = run.meet(4)
    for restart in (True, False):
        code, out, said = end_of(run.start("--clean", "always", restart=restart))
        assert (code, out) == (2, "")
        assert said.count("\n") == 1
        assert ("a leader works on" if restart else "holds a workflow already") in said
    body.close()
    code, out, said = end_of(first)
    assert code == 0, said
    run.check(0, set())


def test_leader_that_slept_finds_itself_replaced(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=6, size=20)
    run.halt(5)
    sleeper = run.start("--clean", "always")
    body = run.meet(5)
    sleeper.send_signal(signal.SIGSTOP)
    body.close()
    refused, _, said = end_of(run.start(restart=True, PRETENDED_HOST="elsewhere"))
    assert refused == 2
    assert "--take-over" in said
    settled, since = run.settled(), len(run.effects())
    run.succeed("--take-over", restart=True, PRETENDED_HOST="elsewhere")
    before = {key: run.path(key).read_bytes() for key in run.blobs("") if not key.startswith((keys.COMMITS, "pages/"))}
    assert not {id for _, id in run.effects()[since:]} & settled

    sleeper.send_signal(signal.SIGCONT)
    code, out, said = end_of(sleeper)
    assert (code, out) == (1, "")
    assert "another leader has taken this workflow over" in said
    run.await_no_process()
    assert {key: run.path(key).read_bytes() for key in before} == before
    since = len(run.effects())
    run.succeed(restart=True)
    assert len(run.effects()) == since, "the replaced leader's commits changed the workflow"


def test_attempt_that_commits_after_it_was_given_up_loses(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=8)
    run.order(2, "begin SIGKILL leader")
    end_of(run.start())
    run.await_no_process()
    number = len(run.effects()) + 1
    run.halt(number)
    with FileJobStore(str(run.store), Config()) as store:
        graph = Graph(7, Policy(), Sizing())
        load(store, graph)
        graph.take_over(7)
        submit = next(command for command in graph.resume() if isinstance(command, Submit))
        todo = work.Work(submit.request, f"file:{run.store}", keys.setup(1), (submit.kind,), submit.tasks)
        store.write("work", BytesIO(work.encode(todo)))
        worker = subprocess.Popen(
            [sys.executable, "-m", "toil_core.worker", f"file:{run.store}", "work"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(run.tmp)},
        )
        with run.meet(number):
            key = keys.commit(submit.request, 0)
            assert commits.create_once(store, key, commits.encode(submit.request, 0, void=Reason.NODE_LOST))
        _, said = worker.communicate(timeout=DEADLINE)
        assert worker.returncode == 1
        assert "had given this request up" in said
        assert commits.read(store, key)[0].void is Reason.NODE_LOST
        assert [*store.list(f"{keys.FILES}{submit.request}/")] == []
    assert os.listdir(run.tmp) == []
    settled, since = run.settled(), len(run.effects())
    run.succeed(restart=True)
    run.check(since, settled)
