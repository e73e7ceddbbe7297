"""Each invariant of the simulated world can fail: for each there is an engine, a worker or a job store that is wrong in one place, and is told so."""

from __future__ import annotations

import ast
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.testing.sim import test_sensitivity as wrong
from toil_core.leader import checkpoints, graph, run, snapshot, state
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.graph import Graph
from toil_core.leader.loop import Loop
from toil_core.leader.moves import Command, Done
from toil_core.leader.snapshot import Snapshot
from toil_core.leader.state import Tally
from toil_core.testing.sim import invariants
from toil_core.testing.sim.cluster import Cluster
from toil_core.testing.sim.scenarios import named
from toil_core.testing.sim.store import Blobs
from toil_core.wire import keys
from toil_core.worker import running

Patch = Callable[[pytest.MonkeyPatch], None]
SIMULATION = Path(invariants.__file__).parent
SEARCH = "the stored seed shows it no more; find another with: python -m tests.testing.sim.seeds"


def wrap(patch: pytest.MonkeyPatch, owner: object, name: str, after: Callable[..., object]) -> None:
    """Have something done each time that a function has done its work; it is given what the function was."""
    function = getattr(owner, name)

    def wrapped(*given: object, **named: object) -> object:
        result = function(*given, **named)
        after(*given)
        return result

    patch.setattr(owner, name, wrapped)


def a_new_leader_reads_no_commits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoints, "_replay", lambda *arguments: None)


def every_job_is_told_twice(patch: pytest.MonkeyPatch) -> None:
    carry_out = Loop._carry_out

    def twice(loop: Loop, commands: Iterable[Command]) -> None:
        carry_out(loop, [each for command in commands for each in [command] * (1 + isinstance(command, Done))])

    patch.setattr(Loop, "_carry_out", twice)


def the_store_loses_commits(patch: pytest.MonkeyPatch) -> None:
    put = Blobs.put

    def losing(blobs: Blobs, who: str, key: str, data: bytes | None) -> None:
        if not key.startswith(keys.COMMITS + "1-3"):
            put(blobs, who, key, data)

    patch.setattr(Blobs, "put", losing)


def a_restart_counts_as_a_try(patch: pytest.MonkeyPatch) -> None:
    def count(graph: Graph, snapshot: Snapshot) -> None:
        for job in graph.jobs.values():
            job.tries += 1

    wrap(patch, snapshot, "restore", count)


def jobs_go_on_in_requests_that_are_too_small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(running, "fits", lambda kind, given: True)


def the_batch_system_gives_cores_back_twice(patch: pytest.MonkeyPatch) -> None:
    leave = Cluster._leave

    def twice(cluster: Cluster, name: str) -> object:
        place = leave(cluster, name)
        if place is not None:
            cluster._reserve(place.node, -place.cores)
        return place

    patch.setattr(Cluster, "_leave", twice)


def values_are_mixed_up(patch: pytest.MonkeyPatch) -> None:
    closure = state.closure

    def mixed(needs: object) -> list[tuple[str, object]]:
        every = list(closure(needs))  # type: ignore[arg-type]
        return [(name, every[0][1]) for name, _ in every]

    patch.setattr(graph, "closure", mixed)


def the_outcome_is_altered(patch: pytest.MonkeyPatch) -> None:
    altered = run._bytes
    patch.setattr(run, "_bytes", lambda store, held: altered(store, held).replace(b'"digest":"', b'"digest":"x'))


def the_outcome_has_no_values(patch: pytest.MonkeyPatch) -> None:
    outcome = run._outcome
    patch.setattr(run, "_outcome", lambda store, graph: replace(outcome(store, graph), values={}))


def every_leader_counts_more_jobs(patch: pytest.MonkeyPatch) -> None:
    outcome = run._outcome
    patch.setattr(run, "_outcome", lambda store, graph: replace(outcome(store, graph), jobs=graph.issuer.epoch))


def jobs_that_ran_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tally, "add", lambda tally, usage: None)


def the_environment_goes_to_workers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(run, "_environment", lambda config: dict(os.environ))


def the_environment_is_logged(patch: pytest.MonkeyPatch) -> None:
    wrap(patch, checkpoints, "bury", lambda *arguments: logging.getLogger("toil.leader").warning("started with %s", os.environ))


def files_are_never_deleted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checkpoints, "delete_files", lambda checkpoints, files: None)


FIRES = {
    "starts before the commits of": (wrong.children_are_forgotten_when_chaining, "shape:static-children-dynamic-follow-on", 2),
    "starts again in": (wrong.a_leader_does_not_believe_commits_that_are_there, "workers", 10),
    "that were its own fault": (wrong.losses_use_up_tries, "machines", 2),
    "and does not count for the next leader": (a_new_leader_reads_no_commits, "leaders", 0),
    "has taken effect twice": (every_job_is_told_twice, "calm", 0),
    "is needed and was deleted": (the_store_loses_commits, "shape:fan-in", 77),
    "which is needed": (wrong.no_tombstones, "leaders", 9),
    "which a restart needs": (wrong.commits_go_at_once, "leaders", 1),
    "over another blob": (wrong.workers_commits_replace_voids, "machines", 2),
    "after one of epoch": (wrong.no_tombstones, "leaders", 0),
    "is of an attempt that does not count, and was kept": (wrong.no_orphan_is_swept, "shape:chain-that-writes", 20),
    "is gone": (wrong.every_file_of_an_open_request_is_an_orphan, "shape:chain-that-writes", 30),
    "was kept although it was deleted": (files_are_never_deleted, "calm", 1),
    "comes to something else than the first": (a_restart_counts_as_a_try, "leaders", 0),
    "of node": (the_batch_system_gives_cores_back_twice, "calm", 0),
    "set aside": (jobs_go_on_in_requests_that_are_too_small, "calm", 12),
    "is not given the value of": (values_are_mixed_up, "shape:fan-in", 0),
    "writes a secret to": (the_environment_goes_to_workers, "calm", 0),
    "a secret is logged": (the_environment_is_logged, "leaders", 0),
    "after the beginning": (wrong.nobody_looks_for_services, "shape:service", 320),
    "at the end there are": (jobs_that_ran_are_not_counted, "calm", 0),
    "the outcome is another": (the_outcome_is_altered, "calm", 0),
    "the outcome lacks the value of": (the_outcome_has_no_values, "shape:promise", 0),
    "has another outcome": (every_leader_counts_more_jobs, "calm", 0),
}
"""Of each invariant some words, what is wrong, and the scenario and the seed with which that is told."""
TOLD_BEFORE = {"a restart after the end runs jobs"}
"""What is seen only when no other has been: that a job that had run does not count is told as soon as the leader begins."""


@pytest.mark.parametrize("words", FIRES)
def test_an_invariant_can_fail(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patch, scenario, seed = FIRES[words]
    patch(monkeypatch)
    found = named(scenario).world(seed).run().broken
    assert words in found, f"{SEARCH}; told: {found or 'nothing'}"


def test_every_invariant_is_among_them() -> None:
    calls = [call for path in SIMULATION.glob("*.py") for call in ast.walk(ast.parse(path.read_text())) if isinstance(call, ast.Call)]
    messages = [ast.unparse(call.args[1]) for call in calls if isinstance(call.func, ast.Name) and call.func.id == "need"]
    assert len(messages) > 20
    assert {each.strip("'") for each in messages if not any(words in each for words in FIRES)} == TOLD_BEFORE
    assert all(any(words in each for each in messages) for words in FIRES)
