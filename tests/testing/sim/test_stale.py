"""A store that shows changes late breaks its contract: that is found by the suite, and the engine stops instead of coming to something wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from toil_core.errors import StoreError, StoreInconsistent, WorkflowFailed
from toil_core.job_store import JobStore
from toil_core.leader import checkpoints
from toil_core.testing.job_store import JobStoreContract
from toil_core.testing.sim.chance import Chance
from toil_core.testing.sim.clock import Clock
from toil_core.testing.sim.scenarios import BEYOND, named
from toil_core.testing.sim.store import Blobs, StoreKind
from toil_core.wire import keys

RUNS = 40


class Somebody:
    """Opens a store and watches nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def before(self, site: str) -> None:
        pass

    after = slow = trace = before

    def created(self, who: str, key: str, data: bytes, *, late: bool = False) -> None:
        pass

    def written(self, who: str, key: str, data: bytes, former: bytes | None = None) -> None:
        pass

    def deleting(self, who: str, keys: list[str]) -> None:
        pass


def two_doors(lag: float) -> tuple[Clock, JobStore, JobStore]:
    clock = Clock()
    blobs = Blobs(clock, Chance(1, {}), Somebody("watcher"), StoreKind(lag=lag))
    return clock, blobs.door(Somebody("one")), blobs.door(Somebody("other"))


def test_a_store_that_shows_changes_at_once_passes_the_suites_case() -> None:
    _, store, other = two_doors(0.0)
    JobStoreContract().test_another_opener_sees_everything_at_once(store, lambda: other)


def test_one_that_shows_them_late_does_not() -> None:
    _, store, other = two_doors(2.0)
    with pytest.raises((AssertionError, StoreError)):
        JobStoreContract().test_another_opener_sees_everything_at_once(store, lambda: other)


def test_changes_show_to_their_maker_at_once_and_to_others_in_the_end() -> None:
    clock, store, other = two_doors(2.0)
    store.create("k", b"1")
    assert [blob.key for blob in store.list()] == ["k"]
    assert list(other.list()) == []
    clock.wait(2.0)
    assert [blob.key for blob in other.list()] == ["k"]


def test_a_tombstone_that_cannot_be_placed_nor_seen_ends_the_start() -> None:
    _, store, other = two_doors(2.0)
    store.create(keys.checkpoint(1, 0), b"x")
    with pytest.raises(StoreInconsistent, match="not listed.*shows changes late"):
        checkpoints.bury(other, 2)


@pytest.mark.parametrize("scenario", list(BEYOND))
def test_the_engine_stops_with_an_error_and_never_with_a_wrong_outcome(scenario: str) -> None:
    reports = [named(scenario).world(seed).run() for seed in range(RUNS)]
    ends = Counter(type(report.error) for report in reports)
    assert ends[WorkflowFailed] > RUNS // 4, "the profile has to bite"
    assert ends[type(None)] > 0, "what was shown in time is none the worse"
    wrong = [
        report.broken
        for report in reports
        if "outcome" in report.broken or "deletes" in report.broken or "lacks the value" in report.broken
    ]
    assert wrong == []
    failed = [report.broken for report in reports if isinstance(report.error, WorkflowFailed)]
    assert all("--restart" in text for text in failed), "it is said how to go on"
