"""Checkpoints in a real store: what is removed when, and what a new leader finds."""

from __future__ import annotations

import io
import itertools
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from tests.leader.test_graph import failing, finish, request_of, running
from tests.leader.world import INITIAL, Plan, World, state_of
from toil_core.batch_system import Reason, Usage
from toil_core.drivers.file import FileJobStore
from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import CorruptBlob, LeaderReplaced, NoSuchKey, StoreInconsistent
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints as folding
from toil_core.leader import snapshot
from toil_core.leader.checkpoints import TOMBSTONE, Checkpoints
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.retries import Policy
from toil_core.monitor.history import of
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Result

_names = (f"checkpoints-{number}" for number in itertools.count())


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    opened: JobStore = MemoryJobStore(next(_names), Config()) if request.param == "memory" else FileJobStore(f"{tmp_path}/store", Config())
    opened.prepare()
    with opened:
        yield opened


class Stored(World):
    """A world whose commits lie in a store, with the leader's own checkpoints of it."""

    def __init__(self, store: JobStore, root: Plan, *, carried: bool = False, chain: bool = False) -> None:
        self.store = store
        super().__init__(root, carried=carried, chain=chain)
        store.create(INITIAL, self.blobs[INITIAL])
        self.checkpoints = Checkpoints(store, 1)
        self.epoch = 1

    def commit(self, request: str, **how: object) -> str:
        key = super().commit(request, **how)  # type: ignore[arg-type]
        self.store.create(key, self.blobs[key])
        self.checkpoints.delete_files(self.deleted)
        self.deleted.clear()
        return key

    def only(self) -> str:
        (request,) = self.open
        return request

    def write(self) -> None:
        self.checkpoints.write(self.graph)

    def restart(self) -> folding.Found:
        """As `toil_core.leader.run` does."""
        self.epoch += 1
        folding.bury(self.store, self.epoch)
        self.graph, self.checkpoints = Graph(self.epoch, self.policy, self.sizing, chain=self.chain), Checkpoints(self.store, self.epoch)
        found = folding.start_again(self.store, self.graph, self.checkpoints, self.epoch)
        self.open.clear()
        self.done = dict.fromkeys(id for id in self.done if id not in self.graph.jobs or self.graph.jobs[id].ran)
        self.log = [self.nodes[id].plan for id in self.done]
        if not self.graph.finished:  # else the end was told before
            self.finish = None
            self.take(self.graph.resume())
        return found


def chain(length: int, **more: object) -> Plan:
    """Each job adds the next."""
    plan = Plan("last")
    for number in reversed(range(length)):
        plan = Plan(f"link{number}", adds_follow_ons=[plan], **more)  # type: ignore[arg-type]
    return plan


def all_keys(store: JobStore, prefix: str = "") -> set[str]:
    return {blob.key for blob in store.list(prefix)}


def content(store: JobStore, key: str) -> bytes:
    with store.read(key) as stream:
        return stream.read()


def damage(store: JobStore, key: str, change: Callable[[bytes], bytes] = lambda data: data[:-3]) -> None:
    store.write(key, io.BytesIO(change(content(store, key))))


def flip(place: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


# What is removed when


def test_a_blob_goes_one_checkpoint_after_the_first_that_does_without_it(store: JobStore) -> None:
    world = Stored(store, chain(4))
    world.commit(world.only())
    first = world.commit(world.only())
    world.commit(world.only())
    assert first in world.graph.garbage
    world.write()
    assert first in all_keys(store)
    world.write()
    assert first not in all_keys(store)
    assert content(store, INITIAL) == TOMBSTONE, "or somebody could begin here anew"


def test_a_checkpoint_that_goes_while_it_is_looked_at_means_that_a_leader_works(store: JobStore) -> None:
    class Going(MemoryJobStore):
        def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
            raise NoSuchKey(key)

    world = Stored(store, chain(2))
    world.write()
    going = Going(next(_names), Config())
    going.prepare()
    for key in all_keys(store, keys.CHECKPOINTS):
        going.create(key, content(store, key))
    assert folding.ended(going) == 0


def test_what_is_referred_to_stays(store: JobStore) -> None:
    world = Stored(store, chain(3))
    key = world.commit(world.only())
    for _ in range(4):
        world.write()
    assert key in all_keys(store)
    world.restart()
    world.write()
    assert world.run().outcome == "succeeded"


def test_the_two_newest_checkpoints_are_kept(store: JobStore) -> None:
    world = Stored(store, chain(3))
    for _ in range(5):
        world.write()
    assert all_keys(store, keys.CHECKPOINTS) == {keys.checkpoint(1, 3), keys.checkpoint(1, 4)}


def test_files_are_deleted_only_when_what_decided_it_is_in_a_checkpoint(store: JobStore) -> None:
    store.create("files/1-1/x", b"x")
    world = Stored(store, Plan("root", deletes=("files/1-1/x",), adds_children=[Plan("child")]))
    world.commit(world.only())
    assert "files/1-1/x" in all_keys(store)
    assert world.checkpoints.due(world.graph), "a small graph is folded at once when files are to go"
    world.write()
    assert "files/1-1/x" not in all_keys(store)
    assert not world.checkpoints.due(world.graph)


def test_files_are_deleted_by_the_next_leader_when_one_dies_between_its_checkpoint_and_that(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("files/1-1/x", b"")
    world = Stored(store, Plan("root", deletes=("files/1-1/x",), adds_children=[Plan("child")]))
    world.commit(world.only())
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store, "delete", _killed)
        world.write()
    assert "files/1-1/x" in all_keys(store)
    found = world.restart()
    assert found.replayed == {}
    assert "files/1-1/x" not in all_keys(store)
    assert world.run().outcome == "succeeded"


def _killed(keys: object) -> None:
    raise KeyboardInterrupt


def test_files_that_a_dead_leader_was_to_delete_are_deleted_by_the_next(store: JobStore) -> None:
    store.create("files/0/abc/x", b"x")
    world = Stored(store, Plan("root", deletes=("files/0/abc/x",), adds_children=[Plan("child")]))
    world.commit(world.only())
    found = world.restart()
    assert found.deleted == ["files/0/abc/x"] and "files/0/abc/x" not in all_keys(store)


def test_a_checkpoint_is_due_after_as_many_changes_as_the_graph_has_jobs(store: JobStore) -> None:
    world = Stored(store, Plan("root", adds_children=[Plan() for _ in range(5000)]))
    world.commit(world.only())
    world.checkpoints.changed(5000)
    assert not world.checkpoints.due(world.graph)
    world.checkpoints.changed(1)
    assert world.checkpoints.due(world.graph)
    world.write()
    assert not world.checkpoints.due(world.graph)


def test_a_checkpoint_is_due_after_so_many_results_where_that_is_said() -> None:
    graph = Graph(1, Policy(), Sizing())
    checkpoints = Checkpoints(MemoryJobStore(next(_names), Config()), 1, 3)
    checkpoints.changed(2)
    assert not checkpoints.due(graph)
    checkpoints.changed(1)
    assert checkpoints.due(graph)


@pytest.mark.parametrize(("jobs", "files", "due"), [(100, 1, True), (101, 1, False), (101, 2, True), (1, 0, False)])
def test_a_checkpoint_is_due_when_it_frees_a_file_for_every_hundred_jobs(jobs: int, files: int, due: bool) -> None:
    graph = Graph(1, Policy(), Sizing())
    graph.jobs = dict.fromkeys(map(str, range(jobs)))  # type: ignore[assignment]
    checkpoints = Checkpoints(MemoryJobStore(next(_names), Config()), 1)
    checkpoints.delete_files(map(str, range(files)))
    assert checkpoints.due(graph) is due


def test_a_large_graph_is_folded_more_often_when_each_result_has_a_commit_of_its_own() -> None:
    graph = Graph(1, Policy(), Sizing())
    graph.jobs = dict.fromkeys(map(str, range(100_000)))  # type: ignore[assignment]
    due: dict[int, int] = {}
    for each in (1, 8):
        checkpoints = Checkpoints(MemoryJobStore(next(_names), Config()), 1)
        while not checkpoints.due(graph):
            checkpoints.changed(each)
            due[each] = due.get(each, 0) + each
    assert due[1] == 30_000 and 50_000 < due[8] < 60_000


# A new leader


def test_many_commits_are_taken_in_in_their_order(store: JobStore) -> None:
    world = Stored(store, chain(150))
    for _ in range(120):
        world.commit(world.only())
    found = world.restart()
    assert not found.corrupt and len(found.replayed) == len(world.log) == 120
    assert world.run().outcome == "succeeded"


class Counting(MemoryJobStore):
    """Counts what is read, and which threads do it."""

    reads = 0
    threads: frozenset[int] = frozenset()

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        self.reads += 1
        self.threads = self.threads | {threading.get_ident()}
        return super().read(key, start, stop)


@pytest.mark.parametrize("quick", [0.0, inf], ids=["far", "near"])
def test_commits_are_not_read_long_before_they_are_taken_in(quick: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_QUICK", quick)
    with Counting(next(_names), Config()) as store:
        store.prepare()
        found = [keys.commit(f"1-{number}", 0) for number in range(1000)]
        for number, key in enumerate(found):
            store.create(key, commits.encode(f"1-{number}", 0))
        reads = folding._reads(store, found, 2)
        for number in range(folding._FEW + 1):
            assert next(reads)[0].request == f"1-{number}"  # type: ignore[index]
        reads.close()  # type: ignore[attr-defined]  # when all that was begun has been read
        assert store.reads <= 5 * folding._RUN
        assert [read[0].request for read in folding._reads(store, found, 2)] == [f"1-{number}" for number in range(1000)]  # type: ignore[index]
        assert (store.threads == {threading.get_ident()}) is (quick == inf)


class Together(MemoryJobStore):
    """Answers a reader when so many others read too."""

    others: threading.Barrier | None = None

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        if self.others is not None:
            self.others.wait()
        return super().read(key, start, stop)


def test_few_commits_of_a_store_that_is_far_are_shared_among_all_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "_QUICK", 0.0)
    with Together(next(_names), Config()) as store:
        store.prepare()
        found = [keys.commit(f"1-{number}", 0) for number in range(folding._FEW + 8)]
        for number, key in enumerate(found):
            store.create(key, commits.encode(f"1-{number}", 0))
        reads = folding._reads(store, found, 4)
        for _ in range(folding._FEW):
            next(reads)
        store.others = threading.Barrier(4, timeout=30)
        assert len(list(reads)) == 8


def test_a_run_that_was_dropped_before_the_checkpoint_does_not_count_after_it(store: JobStore) -> None:
    world = Stored(store, Plan("top", checkpoint=True, adds_children=[Plan("child", tries=1)]))
    key = world.commit(world.only())
    world.commit(world.only(), fails=failing("child"))
    world.write()
    assert key in all_keys(store), "it stays for one checkpoint more"
    found = world.restart()
    assert found.replayed == {} and running(world) == {"top"}
    assert key in found.stale
    assert world.run().outcome == "succeeded"


def test_commits_that_no_checkpoint_leads_to_any_more_go(store: JobStore) -> None:
    world = Stored(store, chain(5))
    world.commit(world.only())
    world.restart()
    later = world.commit(world.only())
    for key in folding.existing(store):
        damage(store, key)
    found = world.restart()
    assert found.checkpoint == "" and found.stale == [later]
    world.write()
    assert later not in all_keys(store)
    assert world.run().outcome == "succeeded"


def test_without_a_checkpoint_the_commits_alone_tell_all(store: JobStore) -> None:
    world = Stored(store, chain(5))
    for _ in range(3):
        world.commit(world.only())
    before = len(world.log)
    found = world.restart()
    assert not found.corrupt and found.checkpoint == "" and len(world.log) == before == 3
    assert world.run().outcome == "succeeded"


def test_checkpoint_and_commits_after_it_are_the_graph(store: JobStore) -> None:
    world = Stored(store, chain(6), carried=True)
    world.commit(world.only())
    world.commit(world.only())
    world.write()
    world.commit(world.only())
    graph = Graph(9, world.policy, world.sizing)
    found = folding.load(store, graph)
    wanted, got = state_of(world.graph), state_of(graph)
    wanted.pop("requests"), got.pop("requests")
    (last,) = world.open[world.only()]
    for jobs in (wanted["jobs"], got["jobs"]):
        jobs[last.job].pop("stage")  # type: ignore[index]
    assert got == wanted and found.replayed and found.checkpoint == keys.checkpoint(1, 0)


@pytest.mark.parametrize("change", [lambda data: data[:-3], flip(50), lambda data: b""], ids=["cut", "flipped", "emptied"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_serves(store: JobStore, change: Callable[[bytes], bytes]) -> None:
    world = Stored(store, chain(6))
    world.commit(world.only())
    world.write()
    world.commit(world.only())
    world.commit(world.only())
    world.write()
    world.commit(world.only())
    damage(store, keys.checkpoint(1, 1), change)
    before = len(world.log)
    found = world.restart()
    assert len(found.corrupt) == 1 and keys.checkpoint(1, 1) in found.corrupt[0]
    assert found.checkpoint == keys.checkpoint(1, 0) and len(world.log) == before
    assert keys.checkpoint(1, 0) in all_keys(store), "the one that served stays until two newer ones are there"
    world.write()
    assert all_keys(store, keys.CHECKPOINTS + "00000001") == {keys.checkpoint(1, 2)}, "the tombstone"
    assert world.run().outcome == "succeeded"


def test_a_new_leader_s_first_checkpoint_may_be_the_damaged_one(store: JobStore) -> None:
    world = Stored(store, chain(6))
    world.commit(world.only())
    world.write()
    world.commit(world.only())
    world.restart()
    store.create("files/2-1/0.0/half", b"x")
    damage(store, keys.checkpoint(2, 0))
    found = world.restart()
    assert found.checkpoint == keys.checkpoint(1, 0) and found.base_epoch == 1 and len(world.log) == 2
    assert "files/2-1/0.0/half" not in all_keys(store)
    assert world.run().outcome == "succeeded"


def test_when_no_checkpoint_can_be_read_and_the_beginning_is_gone_it_says_so(store: JobStore) -> None:
    world = Stored(store, chain(6))
    for _ in range(3):
        world.commit(world.only())
        world.write()
    assert content(store, INITIAL) == TOMBSTONE
    for key in folding.existing(store):
        damage(store, key)
    with pytest.raises(CorruptBlob, match="altered checkpoint"):
        folding.load(store, Graph(2, world.policy, world.sizing))


def test_a_store_without_a_workflow_has_nothing_to_load(store: JobStore) -> None:
    with pytest.raises(NoSuchKey):
        folding.load(store, Graph(1, World(Plan()).policy, World(Plan()).sizing))


@pytest.mark.parametrize("whole", [True, False])
def test_of_the_user_s_own_graph_small_bodies_are_taken_along_unless_it_is_large(store: JobStore, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    world = World(Plan())
    store.create(INITIAL, world.blobs[INITIAL])
    monkeypatch.setattr(folding, "_WHOLE", len(world.blobs[INITIAL]) - (not whole))
    graph = Graph(1, world.policy, world.sizing)
    folding.load_initial(store, graph)
    assert graph.root is not None and isinstance(graph.root.body, bytes) is whole
    assert graph.held == ({} if whole else {INITIAL: 1})


@pytest.mark.parametrize("change", [lambda data: data[:-1], flip(3), flip(40), flip(-1), lambda data: b""])
def test_a_damaged_commit_is_named_and_its_job_runs_again(store: JobStore, change: Callable[[bytes], bytes]) -> None:
    world = Stored(store, Plan("root", children=[Plan("child", adds_children=[Plan("new")])]))
    world.commit(world.only())
    world.write()
    key = world.commit(world.only())
    place = keys.attempt_files(keys.commit_parts(key)[0], next(reversed(world.done)))
    store.create(place + "file", b"of an attempt that does not count")
    damage(store, key, change)
    found = world.restart()
    assert len(found.corrupt) == 1 and key in found.corrupt[0] and "run again" in found.corrupt[0]
    assert [plan.name for plan in world.log] == ["root"]
    assert place + "file" not in all_keys(store) and key not in all_keys(store)
    assert world.run().outcome == "succeeded"


def test_a_commit_under_another_s_key_does_not_count(store: JobStore) -> None:
    world = Stored(store, chain(2))
    key = world.commit(world.only())
    store.create(keys.commit("1-77", 0), content(store, key))
    found = world.restart()
    assert len(found.corrupt) == 1 and "1-77" in found.corrupt[0]


def test_a_large_commit_is_not_read_whole(store: JobStore) -> None:
    world = Stored(store, Plan("root", size=200_000, adds_children=[Plan("child", size=200_000)]))
    world.commit(world.only())
    found = world.restart()
    assert not found.corrupt and len(world.log) == 1
    assert world.run().outcome == "succeeded"


def test_a_zombie_s_late_commit_is_stale(store: JobStore) -> None:
    world = Stored(store, chain(3))
    world.commit(world.only())
    zombie = world.only()
    world.restart()
    failed = Result("0.0", failure=Failure(Reason.FAILED, "late"))
    late = keys.commit(zombie, 0)
    store.create(late, commits.encode(zombie, 0, [(msgspec.msgpack.encode(failed), b"", Usage())]))
    world.write()
    found = world.restart()
    assert late in found.stale and late not in all_keys(store)


def test_a_zombie_s_commit_in_the_last_request_of_all_before_the_checkpoint_is_stale(store: JobStore) -> None:
    world = Stored(store, Plan("only"))
    zombie = world.only()
    world.lose(zombie, Reason.FAILED)
    assert not world.open, "it is tried again after a while"
    world.write()
    late = keys.commit(zombie, 0)
    store.create(late, commits.encode(zombie, 0, [(msgspec.msgpack.encode(Result(world.requests[0].tasks[0].job)), b"", Usage())]))
    found = world.restart()
    assert late in found.stale and not found.replayed
    assert running(world) == {"only"}


def test_files_of_attempts_that_never_came_to_count_are_swept(store: JobStore) -> None:
    world = Stored(store, Plan("root", children=[Plan("a"), Plan("b")]))
    world.commit(world.only())
    world.write()
    (one, [task]), (two, [other]) = world.open.items()
    imported = keys.attempt_files(keys.ROOT, "abc") + "imported"
    settled, counts, lost = "files/1-1/0.0/old", keys.attempt_files(one, task.job) + "f", keys.attempt_files(two, other.job) + "f"
    for key in (imported, settled, counts, lost):
        store.create(key, b"")
    world.commit(one)
    world.restart()
    assert all_keys(store, keys.FILES) == {imported, settled, counts}


def test_the_user_s_own_graph_goes_when_a_new_leader_needs_it_no_more(store: JobStore) -> None:
    world = Stored(store, chain(3))
    world.commit(world.only())
    assert INITIAL not in world.restart().stale, "nothing else would be there if the first checkpoint were damaged"
    assert INITIAL in all_keys(store)
    world.restart()
    assert content(store, INITIAL) == TOMBSTONE
    assert world.run().outcome == "succeeded"


def test_files_of_a_request_that_goes_on_stay_when_the_commit_that_keeps_them_is_folded(store: JobStore) -> None:
    """A new leader took them for orphans (found by a swarm, seed 10133)."""
    third = Plan("third")
    second = Plan("second", adds_children=[third])
    world = Stored(store, Plan("root", adds_children=[second]), chain=True)
    request = world.only()
    root = world.open[request][0].job
    world.commit(request, chained=second)
    chained = world.open[request][0].job
    unknown = f"{request}.1.0"
    counts, lost, later = (keys.attempt_files(request, job) + "f" for job in (root, chained, unknown))
    for key in (counts, lost, later):
        store.create(key, b"x")
    world.write()
    world.restart()
    assert all_keys(store, keys.FILES) == {counts}, "what was under way goes, also of a job that nobody knows"


def test_files_of_a_job_that_ran_in_its_predecessor_s_request_stay_while_that_goes_on(store: JobStore) -> None:
    third = Plan("third")
    second = Plan("second", adds_children=[third])
    world = Stored(store, Plan("root", adds_children=[second]), chain=True)
    request = world.only()
    world.commit(request, chained=second)
    counts = keys.attempt_files(request, world.open[request][0].job) + "f"
    world.commit(request, chained=third)
    lost = keys.attempt_files(request, world.open[request][0].job) + "f"
    for key in (counts, lost):
        store.create(key, b"x")
    world.write()
    world.restart()
    assert all_keys(store, keys.FILES) == {counts}, "its commit is folded, and its value may name them"


def test_files_of_an_attempt_that_was_dropped_and_told_nothing_go_with_the_next_leader(store: JobStore) -> None:
    top = Plan("top", checkpoint=True, tries=2, adds_children=[Plan("slow"), Plan("broken", tries=1)])
    world = Stored(store, Plan("root", children=[top]))
    finish(world, "root", "top")
    request = request_of(world, "slow")
    store.create(keys.attempt_files(request, world.open[request][0].job) + "half", b"x")
    world.commit(request_of(world, "broken"), fails=failing("broken"))
    world.write()
    world.restart()
    assert not all_keys(store, keys.FILES)


# Tombstones


def test_a_leader_that_slept_learns_that_it_was_replaced_and_removes_nothing(store: JobStore) -> None:
    old = Stored(store, chain(6))
    old.commit(old.only())
    old.commit(old.only())
    old.write()
    asleep = old.checkpoints, old.graph
    for _ in range(3):
        old.restart()
        old.write()
        old.write()
    asleep[0].delete_files([old.commit(old.only())])
    before = all_keys(store)
    for _ in range(2):
        with pytest.raises(LeaderReplaced):
            asleep[0].write(asleep[1])
    assert all_keys(store) == before


def test_each_former_leader_has_one_tombstone(store: JobStore) -> None:
    world = Stored(store, chain(3))
    for _ in range(4):
        world.restart()
        world.write()
    folding.bury(store, 5)
    tombs = [key for key in all_keys(store, keys.CHECKPOINTS) if content(store, key) == TOMBSTONE]
    assert sorted(key.removeprefix(keys.CHECKPOINTS)[:8] for key in tombs) == [f"{epoch:08}" for epoch in (1, 2, 3, 4)]


def test_who_stopped_in_good_order_is_known(store: JobStore) -> None:
    world = Stored(store, chain(3))
    assert folding.ended(store) == 0
    world.write()
    assert folding.ended(store) == 0
    world.checkpoints.write(world.graph, ended=True)
    assert folding.ended(store) == 1
    folding.bury(store, 2)
    assert folding.ended(store) == 0, "another leader has begun since"


def test_a_damaged_last_checkpoint_is_no_good_end(store: JobStore) -> None:
    world = Stored(store, chain(3))
    world.checkpoints.write(world.graph, ended=True)
    damage(store, keys.checkpoint(1, 0))
    assert folding.ended(store) == 0


def test_a_tombstone_lies_where_the_next_checkpoint_would_be(store: JobStore) -> None:
    old = Stored(store, chain(8))
    for _ in range(4):
        old.commit(old.only())
        old.write()
    assert keys.checkpoint(1, 0) not in all_keys(store)  # its place is free again
    folding.bury(store, 2)
    assert content(store, keys.checkpoint(1, 4)) == TOMBSTONE
    assert keys.checkpoint(1, 0) not in all_keys(store)
    with pytest.raises(LeaderReplaced):
        old.write()
    folding.bury(store, 2)
    assert len([key for key in all_keys(store, keys.CHECKPOINTS) if content(store, key) == TOMBSTONE]) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_tombstone_that_comes_too_late_is_none(store: JobStore, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Of several checkpoints that are written meanwhile the first are removed: their places are free, and of no use."""
    old = Stored(store, chain(9))
    listing = store.list

    def late(prefix: str = "") -> Iterator[object]:
        found = list(listing(prefix))
        monkeypatch.undo()
        for _ in range(count):
            old.commit(old.only())
            old.write()
        return iter(found)

    monkeypatch.setattr(store, "list", late)
    folding.bury(store, 2)
    assert content(store, keys.checkpoint(1, count - 1)) != TOMBSTONE
    assert content(store, keys.checkpoint(1, count)) == TOMBSTONE
    with pytest.raises(LeaderReplaced):
        old.write()


def test_a_leader_finds_out_that_it_was_replaced(store: JobStore) -> None:
    checkpoints = Checkpoints(store, 3)
    for epoch in (2, 3):
        store.create(keys.leader(epoch), b"")
    checkpoints.check_leader()
    store.create(keys.leader(4), b"")
    with pytest.raises(LeaderReplaced):
        checkpoints.check_leader()


def test_checkpoints_are_due_by_what_changed(store: JobStore) -> None:
    world = Stored(store, Plan("root", adds_children=[Plan("leaf") for _ in range(250)]))
    world.commit(world.only())
    checkpoints = Checkpoints(store, 1)
    checkpoints.changed(1999)
    assert not checkpoints.due(world.graph)
    checkpoints.changed(1)
    assert checkpoints.due(world.graph)
    checkpoints.write(world.graph)
    assert not checkpoints.due(world.graph)
    checkpoints.delete_files(["files/1-1/x", "files/1-1/y"])
    assert not checkpoints.due(world.graph)  # so few files are not worth it
    checkpoints.delete_files(["files/1-1/z"])
    assert checkpoints.due(world.graph)


def test_a_checkpoint_says_which_history_counts(store: JobStore) -> None:
    world = Stored(store, chain(6))
    for number in range(3):
        world.commit(world.only())
        world.write()
        saved = snapshot.decode(content(store, keys.checkpoint(1, number)), "")
        assert saved.histories == {1: number + 1}
    world.restart()
    saved = snapshot.decode(content(store, keys.checkpoint(2, 0)), "")
    assert saved.histories == {1: 3}
    world.commit(world.only())
    world.write()
    saved = snapshot.decode(content(store, keys.checkpoint(2, 1)), "")
    assert saved.histories == {1: 3, 2: 2}
    world.commit(world.only())
    graph = Graph(9, world.policy, world.sizing)
    told = [attempt.name for attempt in of(store, graph, folding.load(store, graph))]
    assert told == ["link0", "link1", "link2", "link3", "link4"], "of whatever leader, folded or not"


def test_commits_that_count_for_nothing_go(store: JobStore) -> None:
    """One of a request that nobody knows, and one that was folded of a request that was open."""
    world = Stored(store, chain(4), carried=True, chain=True)
    request = world.only()
    folded = world.commit(request, chained=world.nodes[world.open[request][0].job].plan.adds_follow_ons[0])
    world.write()
    unknown = keys.commit("1-77", 0)
    store.create(unknown, commits.encode("1-77", 0, final=True))
    assert world.restart().replayed == {}
    assert {folded, unknown} <= all_keys(store), "for one checkpoint more"
    world.write()
    assert not {folded, unknown} & all_keys(store)
    assert world.run().outcome == "succeeded"


def test_a_commit_stays_as_long_as_its_request_is_open(store: JobStore) -> None:
    """Should the newest checkpoint be damaged, the request goes on from the one before."""
    world = Stored(store, chain(3, says=((20, "here"),)), chain=True)
    request = world.only()
    first = world.commit(request, chained=world.nodes[world.open[request][0].job].plan.adds_follow_ons[0])
    world.graph.garbage.append(first)
    for _ in range(3):
        world.write()
        assert first in all_keys(store)
    assert world.graph.garbage == [first]
    world.commit(request, final=True)
    assert request not in world.graph.requests
    world.write()
    world.write()
    assert first not in all_keys(store)


@pytest.mark.parametrize(
    "records", [[b"\xc1"], [b"\x80"], [b"\xc1", b""]], ids=["no MessagePack", "no checkpoint", "nothing in the last place"]
)  # fmt: skip
def test_a_checkpoint_that_says_nothing_sensible_is_corrupt_though_its_sum_is_right(records: list[bytes]) -> None:
    content = b"".join(struct.pack("<I", len(record)) + record for record in records)
    for read in (snapshot.decode, snapshot.decode_head):
        with pytest.raises(CorruptBlob, match="checkpoints/it") as caught:
            read(struct.pack("<I", zlib.crc32(content)) + content, "checkpoints/it")
        assert "unreadable checkpoint" in str(caught.value)


def test_who_wants_no_jobs_of_a_checkpoint_gets_none() -> None:
    world = World(Plan("root", children=[Plan("leaf")]))
    data = snapshot.encode(world.graph)
    whole, head = snapshot.decode(data, "it"), snapshot.decode_head(data, "it")
    assert len(whole.parts) == 1 and not head.parts
    assert (head.epoch, head.sequence, head.requests) == (whole.epoch, whole.sequence, whole.requests)


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x05\0"], ids=["nothing", "a cut length", "another cut length"])
def test_a_checkpoint_without_records_is_corrupt(content: bytes) -> None:
    with pytest.raises(CorruptBlob, match="checkpoints/it"):
        snapshot.decode(struct.pack("<I", zlib.crc32(content)) + content, "checkpoints/it")


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0\0\0\0", b"\0\0\0\0\0"], ids=["nothing", "no sum", "a sum of nothing", "a sum of something else"])
def test_a_checkpoint_that_is_cut_short_is_told_as_such(data: bytes) -> None:
    for read in (snapshot.decode, snapshot.decode_head):
        with pytest.raises(CorruptBlob, match="truncated or altered checkpoint"):
            read(data, "checkpoints/it")


def test_a_checkpoint_says_of_no_job_that_it_has_nothing() -> None:
    """Of each thing that only few jobs have, those that have another one are not told."""
    first = Plan("first", children=[Plan("child")])
    plans = [first, Plan("second", follow_ons=[Plan("after")]), Plan("third", needs=[first]), Plan("shaky")]
    world = World(Plan("root", adds_children=plans, promises=[first]), policy=Policy(tries=3))
    finish(world, "root")
    world.commit(request_of(world, "shaky"), fails=lambda plan: Failure(Reason.FAILED, "once"))
    (part,) = snapshot.decode(snapshot.encode(world.graph), "it").parts
    columns = part.tries, part.temporary, part.needs, part.value_needs, part.children, part.follow_ons
    assert [len(column) for column in columns] == [1, 0, 1, 1, 1, 1]


def test_what_few_jobs_have_costs_others_nothing() -> None:
    world = World(Plan("root", adds_children=[Plan("leaf") for _ in range(5)]))
    finish(world, "root")
    for name in ("leaf", "root"):
        (part,) = snapshot.decode(snapshot.encode(world.graph), "it").parts
        assert not any((part.tries, part.temporary, part.needs, part.value_needs, part.children, part.follow_ons)), name
    assert len(part.above) == 2, "those that are below the same jobs are told once"
    assert list(part.values) == [0] and part.bodies[0] is None, "only the root's value is there"


def test_a_store_that_hides_what_it_has_ends_no_leader_for_ever(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = store.list
    monkeypatch.setattr(store, "list", lambda prefix="": (blob for blob in listing(prefix) if not blob.key.startswith(keys.CHECKPOINTS)))
    with pytest.raises(StoreInconsistent, match="exists but is not listed") as caught:
        folding.bury(store, 2)
    assert keys.checkpoint(1, 0) in str(caught.value)
