"""Ctrl-C and SIGTERM at random moments: the run stops in good order, leaves no process, and can be gone on with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.faults import workflow
from tests.faults.runs import Run, end_of
from toil_core.worker import procfs

CODES = {"SIGINT": 130, "SIGTERM": 143}


@pytest.mark.parametrize("target", ["leader", "group"])
@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("seed", range(3))
def test_stop_in_the_middle(seed: int, name: str, target: str, new_run: Callable[..., Run]) -> None:
    dice = random.Random(f"{seed} {name} {target}")
    run = new_run(seed=seed, size=dice.randint(8, 24))
    jobs = len(list(workflow.names(run.step)))
    run.order(dice.randint(1, jobs), f"{dice.choice(('begin', 'end'))} {name} {target} wait")
    code, out, said = end_of(run.start())
    assert code == CODES[name], said
    assert out == ""
    assert "--restart" in said.splitlines()[-1]
    run.await_no_process()
    assert os.listdir(run.tmp) == []
    settled, since = run.settled(), len(run.effects())
    run.succeed(restart=True)
    run.check(since, settled)


@pytest.mark.parametrize("seed", range(6))
def test_terminated_by_the_clock(seed: int, new_run: Callable[..., Run]) -> None:
    run = new_run(seed=seed)
    leader = run.start()
    try:
        leader.wait(random.Random(seed).uniform(0.1, 0.9))
    except subprocess.TimeoutExpired:
        leader.terminate()
    code, _, said = end_of(leader)
    assert code in (143, -signal.SIGTERM, 0), said
    run.await_no_process()
    begun = run.begun
    settled, since = run.settled() if begun else set(), len(run.effects())
    run.succeed(restart=begun)
    run.check(since, settled)


def test_second_interrupt_ends_at_once(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=1)
    run.halt(2)
    leader = run.start()
    assert leader.stderr is not None
    with run.meet(2):
        (server,) = procfs.children(leader.pid)
        os.kill(server, signal.SIGSTOP)  # so that a stop in good order cannot end
        leader.send_signal(signal.SIGINT)
        assert any("Ctrl-C again" in line for line in leader.stderr)
        leader.send_signal(signal.SIGINT)
        code, _, said = end_of(leader)
    assert code == 130, said
    run.await_no_process()
    assert os.listdir(run.tmp) == []
    run.succeed(restart=True)
