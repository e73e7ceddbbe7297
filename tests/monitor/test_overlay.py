"""An overlay behaves as a job store does, and never changes the one below."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO

import pytest

from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import KeyExists, NoSuchKey, Unsupported
from toil_core.monitor.overlay import Overlay
from toil_core.options import Config

_names = (f"overlay-{number}" for number in itertools.count())


def made() -> MemoryJobStore:
    store = MemoryJobStore(next(_names), Config())
    store.prepare()
    return store


@pytest.fixture
def below() -> Iterator[MemoryJobStore]:
    store = made()
    store.create("a", b"old a")
    store.create("b", b"old b")
    yield store
    assert {blob.key: store.read(blob.key).read() for blob in store.list()} == {"a": b"old a", "b": b"old b"}


def test_changes_are_seen_here_alone(below: MemoryJobStore) -> None:
    store = Overlay(below, made())
    store.prepare()
    store.write("a", BytesIO(b"new a"))
    store.create("c", b"new c")
    assert [store.read(key).read() for key in "abc"] == [b"new a", b"old b", b"new c"]
    assert store.read("b", 1, 3).read() == b"ld" and store.stat("a").size == 5
    assert sorted(blob.key for blob in store.list()) == ["a", "b", "c"]


def test_what_exists_below_exists(below: MemoryJobStore) -> None:
    store = Overlay(below, made())
    for key in ("a", "c"):
        if key == "c":
            store.create(key, b"")
        with pytest.raises(KeyExists):
            store.create(key, b"x")


def test_what_is_deleted_is_gone_and_can_be_made_again(below: MemoryJobStore) -> None:
    store = Overlay(below, made())
    store.delete(["a", "b", "nothing"])
    for read in (store.read, store.stat):
        with pytest.raises(NoSuchKey):
            read("a")
    assert list(store.list()) == []
    store.create("a", b"again")
    store.write("b", BytesIO(b"more"))
    assert (store.read("a").read(), store.read("b").read()) == (b"again", b"more")
    with pytest.raises(Unsupported):
        store.destroy()
