"""The `memory` job store: blobs in the memory of the process that opened it first.

For tests, notebooks and runs that nobody needs to restart. Other processes of this machine and
user reach it under `memory:@NAME`, the worker locator, through a thread of that process.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from toil_core.errors import BadLocator, KeyExists, NoSuchKey, StoreFull
from toil_core.job_store import Blob, JobStore, check_key

if TYPE_CHECKING:
    from toil_core.drivers.memory_socket import Server
    from toil_core.options import Config


class Blobs(Protocol):
    """Where the blobs are: here, or in another process."""

    def put(self, key: str, data: bytes, replace: bool) -> None:
        """Store the data; KeyExists when it is there and must not be replaced."""

    def get(self, key: str, start: int, stop: int | None) -> bytes:
        """The bytes [start, stop); NoSuchKey."""

    def size(self, key: str) -> int:
        """The length; NoSuchKey."""

    def remove(self, keys: list[str]) -> None:
        """Forget the keys."""

    def sizes(self, prefix: str) -> list[tuple[str, int]]:
        """Key and length of every blob whose key starts with the prefix."""

    def clear(self) -> None:
        """Forget everything."""

    def address(self) -> str:
        """Where other processes reach them."""

    def release(self) -> None:
        """One user less."""


class MemoryJobStore(JobStore):
    """Blobs in memory.

    Args:
        locator: Any name, or none: the same name in the same process is the same store. `@` and
            the name of a socket for a store of another process.
        config: The options; none concern this driver.

    Raises:
        BadLocator: The store belongs to a process that this one was forked from.
        NoSuchJobStore: No process serves it (any more).
    """

    def __init__(self, locator: str, config: Config) -> None:
        self._closed = False
        self._blobs: Blobs
        if locator.startswith("@"):
            from toil_core.drivers.memory_socket import Client

            self._blobs = Client(locator[1:])
        else:
            self._blobs = _opened(locator)

    def prepare(self) -> None:
        """Nothing has to be made."""

    def destroy(self) -> None:
        self._blobs.clear()

    def create(self, key: str, data: bytes) -> None:
        check_key(key)
        self._blobs.put(key, bytes(data), replace=False)

    def write(self, key: str, stream: BinaryIO) -> None:
        check_key(key)
        try:
            data = b"".join(iter(lambda: stream.read(1 << 20), b""))
        except MemoryError as error:
            raise StoreFull(key, "no memory is left") from error
        self._blobs.put(key, data, replace=True)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> BinaryIO:
        check_key(key)
        return io.BytesIO(self._blobs.get(key, start, stop))

    def stat(self, key: str) -> Blob:
        check_key(key)
        return Blob(key, self._blobs.size(key))

    def delete(self, keys: Iterable[str]) -> None:
        gone = list(keys)
        for key in gone:
            check_key(key)
        self._blobs.remove(gone)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        return (Blob(key, size) for key, size in self._blobs.sizes(prefix))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._blobs.release()

    def worker_locator(self) -> str:
        """The locator for other processes of this user on this machine; they can reach it until the last `close`."""
        return f"memory:@{self._blobs.address()}"


class Local:
    """Blobs of this process.

    Args:
        name: What the store is called, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name, self._pid = name, os.getpid()
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}
        self._server: Server | None = None
        self._users = 0

    def put(self, key: str, data: bytes, replace: bool) -> None:
        with self._lock:
            if not replace and key in self._blobs:
                raise KeyExists(key)
            self._blobs[key] = data

    def get(self, key: str, start: int, stop: int | None) -> bytes:
        try:
            return self._blobs[key][start : stop if stop is None else max(start, stop)]
        except KeyError:
            raise NoSuchKey(key) from None

    def size(self, key: str) -> int:
        try:
            return len(self._blobs[key])
        except KeyError:
            raise NoSuchKey(key) from None

    def remove(self, keys: list[str]) -> None:
        with self._lock:
            for key in keys:
                self._blobs.pop(key, None)

    def sizes(self, prefix: str) -> list[tuple[str, int]]:
        with self._lock:
            return [(key, len(data)) for key, data in self._blobs.items() if key.startswith(prefix)]

    def clear(self) -> None:
        with self._lock:
            self._blobs.clear()

    def address(self) -> str:
        from toil_core.drivers.memory_socket import Server

        with self._lock:
            if self._server is None:
                self._server = Server(self)
            return self._server.address

    def use(self) -> None:
        """One user more.

        Raises:
            BadLocator: This is a copy of another process's memory.
        """
        if os.getpid() != self._pid:
            raise BadLocator(f"job store memory:{self._name} is in process {self._pid}; other processes use its worker locator")
        with self._lock:
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            server = None if self._users or os.getpid() != self._pid else self._server
            if server:
                self._server = None
        if server:
            server.close()


_stores: dict[str, Local] = {}
_stores_lock = threading.Lock()


def _opened(name: str) -> Local:
    with _stores_lock:
        store = _stores.setdefault(name, Local(name))
        store.use()
    return store
