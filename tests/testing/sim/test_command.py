"""`toil-sim`: what it prints, that a run is the same again, and what it does when something does not hold."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testing.sim.command import toil_sim
from toil_core.testing.sim import command, many
from toil_core.testing.sim.chance import Fault
from toil_core.testing.sim.conditions import Report
from toil_core.testing.sim.scenarios import BEYOND, SCENARIOS, named
from toil_core.testing.sim.shapes import SHAPES
from toil_core.testing.sim.shrink import shrink
from toil_core.testing.sim.world import World


def main(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = command.main(arguments)
    return code, capsys.readouterr().out


def test_it_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = main(capsys, "--list")
    assert code == 0
    for name in (*SCENARIOS, *BEYOND, *SHAPES):
        assert re.search(rf"(?<!\S){name}(?!\S)", out)


def test_one_run_tells_its_hash_and_its_faults(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = main(capsys, "--scenario", "shape:fan", "--seed", "8")
    assert code == 0 and out.endswith("everything held\n")
    report = named("shape:fan").world(8).run()
    assert out.startswith(f"trace {report.digest}: {len(report.trace)} lines, ")
    assert all(f"  {fault.kind}: {fault.site}\n" in out for fault in report.faults)


def test_a_trace_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\n0.0000 leader 1 create workflow #1 \n" in main(capsys, "--scenario", "calm", "--trace")[1]


def test_many_runs_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = main(capsys, "--scenario", "shape:chain", "--runs", "20", "--seed", "100")
    assert code == 0 and out.startswith("20 runs, ") and out.endswith("everything held\n")


def test_many_runs_have_one_hash_of_all_their_traces_whoever_runs_which(capsys: pytest.CaptureFixture[str]) -> None:
    chain = ("--scenario", "shape:chain", "--runs", "60")
    hashes = [line for processes in ("1", "2") for line in main(capsys, *chain, "--processes", processes)[1].splitlines() if line.startswith("traces ")]
    assert len(hashes) == 2 and len(set(hashes)) == 1
    assert hashes[0] not in main(capsys, *chain, "--seed", "2")[1]


def test_many_runs_that_are_stopped_say_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = many.seeds

    def stopping(*given: Any) -> Iterator[many.Sum]:
        for part in seeds(*given):
            signal.raise_signal(signal.SIGINT)
            yield part

    monkeypatch.setattr(many, "seeds", stopping)
    former = signal.getsignal(signal.SIGINT)
    code, out = main(capsys, "--scenario", "shape:single", "--seed", "7", "--runs", "120")
    assert signal.getsignal(signal.SIGINT) is former
    assert code == 130 and "go on with: toil-sim --scenario shape:single --seed 57 --runs 70\n50 runs, " in out


def test_no_trace_tells_the_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that could not be tried was once said to have begun at the time of the machine that simulates."""
    first = named("stale").world(1).run()
    assert "not there" in "\n".join(first.trace)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1e6)
    assert named("stale").world(1).run().digest == first.digest


def test_each_small_workflow_is_told_when_all_its_deaths_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = main(capsys, "--crashes", "2", "--sample", "3", "--scenario", "shape:single,chain")
    first, second, total, *_ = out.splitlines()
    assert code == 0 and total.startswith("6 runs, ")
    for name, line in (("single", first), ("chain", second)):
        assert re.fullmatch(rf"{name}: 3 ways, \d+\.\d s of processor time", line)


@pytest.mark.parametrize(
    "arguments",
    [["--seed", "81"], ["--seed", "77", "--scenario", "leaders"], ["--seed", "3", "--scenario", "machines"], ["--seed", "1", "--scenario", "stale"]],
)
def test_the_same_seed_is_the_same_run_whatever_python_s_hashes_are(arguments: list[str]) -> None:
    first, second = (toil_sim(*arguments, "--trace", PYTHONHASHSEED=seed).stdout for seed in ("1", "2"))
    assert first == second and "leader 1 create workflow" in first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "swam"], "there is no scenario 'swam'; do you mean 'swarm'?"),
        (["--scenario", "shape:fam"], "do you mean 'shape:fan'?"),
        (["--scenario", "diamond"], "do you mean 'shape:diamond'?"),
        (["--crashes", "1", "--scenario", "shape:fan,x"], "there is no scenario 'shape:x'"),
        (["--scenario", "SWARM"], "do you mean 'swarm'?"),
        (["--scenario", "stail"], "do you mean 'stale'?"),
        (["--seed", "one"], "'one' is no whole number from 0 on"),
        (["--seed", "9" * 5000], "is no whole number from 0 on, with 18 digits at most"),
        (["--replay", "{}", "--runs", "3"], "--replay and --runs do not go together"),
        (["--replay", "{}", "--seed", "3"], "--replay and --seed do not go together"),
        (["--list", "--runs", "3"], "--list and --runs do not go together"),
        (["--crashes", "1", "--seed", "3"], "--crashes and --seed do not go together"),
        (["--replay", '{"seed":1,"jobs":[{"name":"a","cores":-1}]}'], "Expected `float` >= 0.0 - at `$.jobs[0].cores`"),
        (["--replay", '{"seed":1,"jobs":[{"name":"a"}],"faults":[["x","crash befor"]]}'], "there is no fault 'crash befor'; do you mean 'crash before'?"),
        (["--runs", "0"], "'0' is no whole number from 1 on"),
        (["--sample", "3"], "--sample goes with --crashes"),
        (["--trace", "--runs", "3"], "--trace goes with one run"),
    ],
)
def test_what_cannot_be_understood_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    assert end.value.code == 2 and words in capsys.readouterr().err


def broken(monkeypatch: pytest.MonkeyPatch, bad: Fault) -> None:
    """A world in which something does not hold once that fault has happened."""
    run = World.run

    def running(world: World) -> Report:
        report = run(world)
        report.broken = "Broken: the sky is green" if bad in report.faults else ""
        return report

    monkeypatch.setattr(World, "run", running)


def test_a_failure_is_shrunk_to_the_faults_that_matter(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seed, faults = next((seed, report.faults) for seed in range(100) if len((report := named("leaders").world(seed).run()).faults) > 4)
    broken(monkeypatch, faults[2])
    code, out = main(capsys, "--scenario", "leaders", "--seed", str(seed))
    assert code == 1 and "BROKEN: Broken: the sky is green" in out
    shrunk, _, smallest = out.partition("The same goes wrong with ")[2].partition("The same goes wrong with ")
    kept = int(shrunk.split()[0])
    assert kept < len(faults) and f"  {faults[2].kind}: {faults[2].site}\n" in shrunk
    assert "\nBroken: the sky is green\nrun it again with: toil-sim --replay " in smallest
    code, out = main(capsys, "--scenario", "leaders", "--seed", str(seed), "--runs", "2")
    assert code == 1 and f"BROKEN --scenario leaders --seed {seed}: Broken: the sky is green" in out and out.endswith("1 went wrong\n")


def test_shrinking_keeps_what_is_needed_together() -> None:
    every = [Fault(str(number), "error") for number in range(20)]
    needed = {every[3], every[17]}

    def run(faults: object) -> Report:
        assert isinstance(faults, list)
        return Report(broken="Broken: it" if needed <= set(faults) else "", faults=list(faults))

    assert shrink(every, run).faults == [every[3], every[17]]


def test_the_same_that_befalls_another_job_is_the_same() -> None:
    """A service in the place of a job once kept faults that do not matter."""
    every = [Fault(str(number), "error") for number in range(6)]

    def run(faults: object) -> Report:
        assert isinstance(faults, list)
        job = "<s8>" if len(faults) < 4 else "<p3>"
        return Report(broken=f"Broken: {job} starts before the commits of {{<p1>}} are there" if every[2] in faults else "", faults=list(faults))

    assert shrink(every, run).faults == [every[2]]


def test_what_cannot_be_printed_is_told_in_a_line() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run([sys.executable, "-c", "from toil_core.testing.sim.command import main; exit(main(['--list']))"], check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (1, "toil: error: standard output cannot be written: No space left on device\n")
