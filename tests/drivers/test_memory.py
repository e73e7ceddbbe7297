"""The memory job store: the contract in its own process and through its socket."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from toil_core.drivers.memory import MemoryJobStore
from toil_core.errors import BadLocator, NoSuchJobStore, Transient
from toil_core.job_store import HasWorkerLocator, JobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract

_names = (f"test-{number}" for number in itertools.count())


class TestOwner(JobStoreContract):
    abilities = (HasWorkerLocator,)

    @pytest.fixture
    def name(self) -> str:
        return next(_names)

    @pytest.fixture
    def store(self, name: str) -> Iterator[JobStore]:
        yield MemoryJobStore(name, Config())

    @pytest.fixture
    def reopen(self, name: str) -> Callable[[], JobStore]:
        return lambda: MemoryJobStore(name, Config())


class TestClient(JobStoreContract):
    abilities = (HasWorkerLocator,)

    @pytest.fixture
    def owner(self) -> Iterator[MemoryJobStore]:
        with MemoryJobStore(next(_names), Config()) as store:
            yield store

    @pytest.fixture
    def store(self, owner: MemoryJobStore) -> Iterator[JobStore]:
        yield _opened(owner.worker_locator())

    @pytest.fixture
    def reopen(self, owner: MemoryJobStore) -> Callable[[], JobStore]:
        return lambda: _opened(owner.worker_locator())

    def test_the_owner_sees_what_clients_do(self, owner: MemoryJobStore, store: JobStore) -> None:
        store.create("k", b"client")
        assert owner.read("k").read() == b"client"
        owner.delete(["k"])
        assert list(store.list()) == []


def _opened(locator: str) -> MemoryJobStore:
    return MemoryJobStore(locator.removeprefix("memory:"), Config())


def test_names_are_stores_of_their_own() -> None:
    with MemoryJobStore(next(_names), Config()) as one, MemoryJobStore(next(_names), Config()) as two:
        one.create("k", b"1")
        assert list(two.list()) == []


def test_equal_bytes_do_not_pass_for_a_first_creation() -> None:
    from toil_core.errors import KeyExists

    with MemoryJobStore(next(_names), Config()) as store:
        data = b""
        store.create("k", data)
        with pytest.raises(KeyExists):
            store.create("k", data)


def test_the_last_close_ends_the_service() -> None:
    name = next(_names)
    first, second = MemoryJobStore(name, Config()), MemoryJobStore(name, Config())
    locator = first.worker_locator()
    client = _opened(locator)
    first.close()
    client.create("k", b"")
    second.close()
    with pytest.raises((Transient, NoSuchJobStore)):
        client.stat("k")
    with pytest.raises(NoSuchJobStore, match="no process"):
        _opened(locator)
    client.close()
    with MemoryJobStore(name, Config()) as again:
        assert again.stat("k").size == 0
        assert again.worker_locator() != locator


def test_a_fork_is_told_to_use_the_worker_locator() -> None:
    name = next(_names)
    with MemoryJobStore(name, Config()) as store:
        locator = store.worker_locator()
        child = os.fork()
        if not child:
            try:
                MemoryJobStore(name, Config())
            except BadLocator:
                _opened(locator).create("from the child", b"")
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.stat("from the child").size == 0


def test_a_client_survives_a_fork() -> None:
    with MemoryJobStore(next(_names), Config()) as store, _opened(store.worker_locator()) as client:
        child = os.fork()
        if not child:
            client.create("child", b"c" * 100_000)
            os._exit(0)
        client.create("parent", b"p" * 100_000)
        assert os.waitpid(child, 0)[1] == 0
        assert {blob.key for blob in client.list()} == {"child", "parent"}


def test_rubbish_ends_one_connection_only() -> None:
    with MemoryJobStore(next(_names), Config()) as store, _opened(store.worker_locator()) as client:
        address = "\0" + store.worker_locator().removeprefix("memory:@")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.settimeout(30)
            stranger.connect(address)
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            with suppress(ConnectionResetError):
                assert stranger.recv(100) == b""
        client.create("k", b"")
        assert store.stat("k").size == 0


def test_who_connects_just_before_the_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted, closed = threading.Event(), threading.Event()

    def same_user(connection: socket.socket) -> bool:
        accepted.set()
        return closed.wait(60)

    monkeypatch.setattr("toil_core.drivers.memory_socket._same_user", same_user)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as late:
        late.settimeout(60)
        with MemoryJobStore(next(_names), Config()) as store:
            late.connect("\0" + store.worker_locator().removeprefix("memory:@"))
            assert accepted.wait(60)
        closed.set()
        with suppress(ConnectionResetError):
            assert late.recv(1) == b""
