"""The simulation is worth something only if it finds an engine that is wrong: each of these is, in one place."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from toil_core.job_store import JobStore
from toil_core.leader import checkpoints, epoch, loop, retries, run
from toil_core.leader.checkpoints import Found
from toil_core.leader.graph import Graph
from toil_core.leader.loop import Loop
from toil_core.leader.unheard import Unheard
from toil_core.testing.sim.scenarios import named
from toil_core.wire import commits, keys

Patch = Callable[[pytest.MonkeyPatch], None]


def no_tombstones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoints, "bury", lambda store, epoch: None)


def every_file_of_an_open_request_is_an_orphan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checkpoints, "untold", lambda *arguments: True)


def no_orphan_is_swept(patch: pytest.MonkeyPatch) -> None:
    def none(store: JobStore, found: Found, epoch: int) -> Iterator[str]:
        yield from ()

    patch.setattr(checkpoints, "orphans", none)


def nothing_is_fenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Loop, "_void", lambda loop, id, reason: None)


def a_leader_s_voids_replace_commits(patch: pytest.MonkeyPatch) -> None:
    def create(store: JobStore, key: str, data: bytes) -> bool:
        store.delete([key])
        store.create(key, data)
        return True

    patch.setattr(loop, "create_once", create)


def a_leader_does_not_believe_commits_that_are_there(patch: pytest.MonkeyPatch) -> None:
    def create(store: JobStore, key: str, data: bytes) -> bool:
        commits.create_once(store, key, data)
        return True

    patch.setattr(loop, "create_once", create)


def workers_commits_replace_voids(patch: pytest.MonkeyPatch) -> None:
    create_once = commits.create_once

    def create(store: JobStore, key: str, data: bytes) -> bool:
        if not key.startswith(keys.COMMITS) or key == keys.commit(keys.ROOT, 0):
            return create_once(store, key, data)
        store.write(key, io.BytesIO(data))
        return True

    patch.setattr(commits, "create_once", create)


def both_executions_write_the_same_files(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keys, "execution_files", lambda request, job, mark: keys.attempt_files(request, job))


def nobody_looks_for_services(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Unheard, "sent", lambda unheard, now: None)


def losses_use_up_tries(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retries, "FREE", frozenset())


def commits_go_at_once(patch: pytest.MonkeyPatch) -> None:
    let_go = Graph._let_go

    def hasty(graph: Graph, key: str) -> None:
        graph.held[key] = 1
        let_go(graph, key)

    patch.setattr(Graph, "_let_go", hasty)


def children_are_forgotten_when_chaining(patch: pytest.MonkeyPatch) -> None:
    send = Graph._send

    def sending(graph: Graph, id: str, kind: object, jobs: list[object]) -> None:
        children, jobs[0].children = jobs[0].children, ()  # type: ignore[attr-defined]
        send(graph, id, kind, jobs)  # type: ignore[arg-type]
        jobs[0].children = children  # type: ignore[attr-defined]

    patch.setattr(Graph, "_send", sending)


def two_lead_one_epoch(patch: pytest.MonkeyPatch) -> None:
    def create(store: JobStore, key: str, data: bytes) -> bool:
        return commits.create_once(store, key, data) or key.startswith(keys.LEADERS)

    patch.setattr(epoch, "create_once", create)


def a_new_leader_begins_anew(patch: pytest.MonkeyPatch) -> None:
    def load(store: JobStore, graph: Graph, folded: object, epoch: int, *, restart: bool, readers: int) -> None:
        checkpoints.load_initial(store, graph)

    patch.setattr(run, "_load", load)


WRONG: dict[Patch, tuple[str, int]] = {
    no_tombstones: ("leaders", 0),
    every_file_of_an_open_request_is_an_orphan: ("shape:chain-that-writes", 30),
    no_orphan_is_swept: ("shape:chain-that-writes", 20),
    nothing_is_fenced: ("swarm", 4),
    a_leader_s_voids_replace_commits: ("workers", 10),
    a_leader_does_not_believe_commits_that_are_there: ("workers", 10),
    workers_commits_replace_voids: ("machines", 2),
    both_executions_write_the_same_files: ("deliveries", 20),
    nobody_looks_for_services: ("shape:service", 320),
    losses_use_up_tries: ("machines", 2),
    commits_go_at_once: ("leaders", 1),
    children_are_forgotten_when_chaining: ("shape:static-children-dynamic-follow-on", 2),
    two_lead_one_epoch: ("leaders", 21),
    a_new_leader_begins_anew: ("leaders", 0),
}
"""Each with a scenario and the seed with which it is found."""


@pytest.mark.parametrize("wrong", WRONG)
def test_an_engine_that_is_wrong_is_found(wrong: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, seed = WRONG[wrong]
    wrong(monkeypatch)
    assert named(scenario).world(seed).run().broken, "the stored seed shows it no more; find another with: python -m tests.testing.sim.seeds"
