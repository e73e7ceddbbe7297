"""A store that goes silent: whoever looks at a run hears of it in time."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from toil_core.drivers.file import FileJobStore
from toil_core.errors import KeyExists, NoSuchKey, Transient
from toil_core.job_store import Blob, JobStore
from toil_core.options import Config
from toil_core.testing.job_store import JobStoreContract
from toil_core.wire.bounded import BoundedStore, watched
from toil_core.wire.patient import PatientStore


class Silent(FileJobStore):
    """A store whose server takes connections and never answers, from the moment on that `silent` is set."""

    def __init__(self, folder: Path, server: socket.socket) -> None:
        super().__init__(str(folder), Config())
        self.silent = False
        self._server = server

    def _reach(self) -> None:
        if self.silent:
            with socket.create_connection(self._server.getsockname()) as client:
                client.recv(1)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        self._reach()
        return super().read(key, start, stop)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        for blob in super().list(prefix):
            self._reach()
            yield blob


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        store = Silent(tmp_path / "s", server)
        store.prepare()
        store.create("key", b"content")
        yield store


class TestBounded(JobStoreContract):
    """A store that answers is what it is without."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[JobStore]:
        store = BoundedStore(FileJobStore(str(tmp_path / "s"), Config()), 60.0)
        yield store
        store.close()


def test_silence_is_told(silent: Silent) -> None:
    patient = BoundedStore(silent, 60.0)
    with pytest.raises(NoSuchKey):
        patient.stat("none")
    with pytest.raises(KeyExists):
        patient.create("key", b"")
    silent.silent = True
    hasty = BoundedStore(silent, 0.2)
    with pytest.raises(Transient, match=r"has not answered for 0\.2 s"):
        hasty.read("key")
    with pytest.raises(Transient, match="has not answered"):
        list(hasty.list())
    silent.silent = False
    assert patient.read("key").read() == b"content"


def test_a_stream_that_stops_is_told() -> None:
    end = threading.Event()

    class Stream(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            end.wait()
            return b""

    class Store(FileJobStore):
        def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
            return Stream()  # type: ignore[return-value]

    try:
        for size in (-1, 10):
            with pytest.raises(Transient, match="has not answered"):
                BoundedStore(Store("s", Config()), 0.1).read("key").read(size)
    finally:
        end.set()


def test_large_blobs_are_read_whole_and_in_parts(silent: Silent) -> None:
    content = os.urandom(3 << 20) + b"end"
    silent.create("large", content)
    bounded = watched(silent)
    assert isinstance(bounded, PatientStore)
    assert bounded.read("large").read() == content
    stream = bounded.read("large")
    assert stream.read(5) == content[:5] and stream.seek(1 << 21) == 1 << 21 and stream.read() == content[1 << 21 :]


def test_a_child_that_was_forked_reads_too(silent: Silent) -> None:
    bounded = BoundedStore(silent, 60.0)
    bounded.stat("key")
    child = os.fork()
    if not child:
        os._exit(0 if bounded.read("key").read() == b"content" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_waited_out_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Restarting(FileJobStore):
        left = 3

        def stat(self, key: str) -> Blob:
            self.left -= 1
            if self.left >= 0:
                raise Transient("the server is not there")
            return super().stat(key)

    with Restarting(str(tmp_path / "s"), Config()) as inner:
        inner.prepare()
        inner.create("key", b"12")
        store = watched(inner, 60.0)
        assert store.stat("key").size == 2
        assert capsys.readouterr().err == "toil: warning: the server is not there; it is tried again for 60 s\n"
        with pytest.raises(NoSuchKey):
            store.stat("none")
        assert capsys.readouterr().err == ""
