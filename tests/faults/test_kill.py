"""Leaders, fork servers, slots and attempts killed at random moments: every job counts once, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.faults import workflow
from tests.faults.runs import Run, end_of

RUNS = 100


@pytest.mark.parametrize("seed", range(RUNS))
def test_kill_at_a_random_moment(seed: int, new_run: Callable[..., Run]) -> None:
    dice = random.Random(seed)
    run = new_run(seed=seed, size=dice.randint(8, 24))
    jobs = len(list(workflow.names(run.step)))
    victim = ("leader", "leader", "leader", "time", "group", "server", "slot", "self")[seed % 8]
    if victim == "time":
        _killed_by_the_clock(run, dice.uniform(0.1, 1.2))
    elif victim == "group":
        _all_killed(run, dice.randint(1, jobs))
    else:
        run.order(dice.randint(1, jobs), f"{dice.choice(('begin', 'end'))} SIGKILL {victim}")
        if victim != "leader":
            run.succeed()
            run.check(0, set())
            return
        code, _, said = end_of(run.start())
        assert code == -signal.SIGKILL, said
    run.await_no_process()
    _restart(run)


def _killed_by_the_clock(run: Run, seconds: float) -> None:
    leader = run.start()
    try:
        leader.wait(seconds)
    except subprocess.TimeoutExpired:
        leader.kill()
    leader.communicate()


def _all_killed(run: Run, number: int) -> None:
    """Stop the leader in the middle, then kill everything at once, so that nobody can clean up."""
    run.order(number, "end SIGSTOP leader wait")
    leader = run.start()
    assert os.WIFSTOPPED(os.waitpid(leader.pid, os.WUNTRACED)[1]), leader.stderr and leader.stderr.read()
    run.kill_all()
    leader.communicate()


def _restart(run: Run) -> None:
    begun = run.begun
    settled = run.settled() if begun else set()
    since = len(run.effects())
    run.succeed(restart=begun)
    run.check(since, settled)


def test_kill_in_the_middle_of_two_thousand_jobs(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=1, size=2000)
    jobs = len(list(workflow.names(run.step)))
    assert 1500 < jobs < 2500
    run.order(jobs // 2, "begin SIGKILL leader wait")
    code, _, said = end_of(run.start())
    assert code == -signal.SIGKILL, said
    run.await_no_process()
    settled, before = run.settled(), run.effects()
    lost = [name for name, id in before if id not in settled]
    assert len(lost) < 200, "commits are made too late"
    run.succeed(restart=True)
    run.check(len(before), settled)
    assert len(run.effects()) == jobs + len(lost)


def test_half_written_file_is_swept(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=next(seed for seed in range(100) if workflow.plan(seed, 8).shape == "kept"), size=8)
    run.order("r", "writing SIGKILL leader wait")
    end_of(run.start())
    run.await_no_process()
    assert os.listdir(run.store / "staging")
    _restart(run)


def test_fork_server_killed_while_it_loads(new_run: Callable[..., Run]) -> None:
    run = new_run(seed=3)
    order = run.folder / "die"
    order.touch()
    said = run.succeed(TESTED_LOADING=str(order))
    assert not order.exists()
    assert "the fork server ended by SIGKILL" in said
    run.check(0, set())
