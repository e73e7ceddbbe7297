"""How other processes reach a memory job store: over a Unix socket, never by pickles.

A message is `TMS1`, two lengths (of the head: 4 bytes, of the body: 8 bytes, little endian), the
head (MessagePack) and the body (a blob's bytes). The socket's name is abstract, so nothing is left
when its owner is killed; each side checks that the other belongs to the same user.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from toil_core.errors import KeyExists, NoSuchJobStore, NoSuchKey, StoreError, StoreFull, Transient, Unsupported

if TYPE_CHECKING:
    from toil_core.drivers.memory import Local

_MAGIC = b"TMS1"
_FRAME = struct.Struct("<4sIQ")
_PEER = struct.Struct("3i")
_ERRORS = {kind.__name__: kind for kind in (KeyExists, NoSuchKey, StoreFull)}


class Server:
    """Serves the blobs of this process until it is closed.

    Args:
        blobs: What to serve.

    Raises:
        Unsupported: The system has no abstract Unix sockets.
    """

    def __init__(self, blobs: Local) -> None:
        self.address = f"toil-{secrets.token_hex(16)}"
        self._blobs = blobs
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(_name(self.address))
        except OSError as error:
            self._listener.close()
            raise Unsupported(f"other processes cannot reach a memory job store on this system ({error}); use file:FOLDER") from error
        self._listener.listen(512)
        threading.Thread(target=self._accept, name="memory job store", daemon=True).start()

    def close(self) -> None:
        """Stop; clients get an error from now on."""
        with self._lock:
            self._closed = True
            connections = [self._listener, *self._open]
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not _same_user(connection):
                connection.close()
                continue
            with self._lock:
                if self._closed:  # it came just before
                    connection.close()
                    return
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="memory job store client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(Exception), connection:  # whatever goes wrong ends this connection only
            while True:
                head, body = _receive(connection)
                _send(connection, *self._answer(head, body))
        with self._lock:
            self._open.discard(connection)

    def _answer(self, head: list[Any], body: bytes) -> tuple[list[Any], bytes]:
        name, *arguments = head
        blobs = self._blobs
        calls: dict[str, Callable[..., Any]] = {"size": blobs.size, "remove": blobs.remove, "sizes": blobs.sizes, "clear": blobs.clear}
        try:
            if name == "get":
                return ["", None], blobs.get(*arguments)
            if name == "put":
                blobs.put(arguments[0], body, arguments[1])
                return ["", None], b""
            return ["", calls[name](*arguments)], b""
        except StoreError as error:
            return [type(error).__name__, error.key], b""
        except MemoryError:
            return [StoreFull.__name__, arguments[0]], b""


class Client:
    """Blobs of another process.

    Args:
        address: What its server said.

    Raises:
        NoSuchJobStore: Nobody serves it.
    """

    def __init__(self, address: str) -> None:
        self._address, self._pid = address, os.getpid()
        self._idle: list[socket.socket] = []
        self._idle.append(self._connect())

    def put(self, key: str, data: bytes, replace: bool) -> None:
        self._ask(["put", key, replace], data)

    def get(self, key: str, start: int, stop: int | None) -> bytes:
        return self._ask(["get", key, start, stop])[1]

    def size(self, key: str) -> int:
        size: int = self._ask(["size", key])[0]
        return size

    def remove(self, keys: list[str]) -> None:
        self._ask(["remove", keys])

    def sizes(self, prefix: str) -> list[tuple[str, int]]:
        return [(key, size) for key, size in self._ask(["sizes", prefix])[0]]

    def clear(self) -> None:
        self._ask(["clear"])

    def address(self) -> str:
        return self._address

    def release(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _ask(self, head: list[Any], body: bytes = b"") -> tuple[Any, bytes]:
        connection = self._take()
        try:
            _send(connection, head, body)
            (error, *rest), answer = _receive(connection)
        except (OSError, EOFError) as failure:
            connection.close()
            raise Transient(f"the process that holds job store memory:@{self._address} does not answer ({failure})") from failure
        except BaseException:
            connection.close()  # an answer may still be on its way
            raise
        self._idle.append(connection)
        if error:
            raise _ERRORS[error](rest[0])
        return rest[0], answer

    def _take(self) -> socket.socket:
        if self._pid != os.getpid():  # the parent process goes on using its connections
            self.release()
            self._pid = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(_name(self._address))
        except OSError as error:
            connection.close()
            raise NoSuchJobStore(f"no process of this machine holds job store memory:@{self._address} (any more)") from error
        if not _same_user(connection):
            connection.close()
            raise NoSuchJobStore(f"job store memory:@{self._address} belongs to another user")
        return connection


def _name(address: str) -> bytes:
    return b"\0" + address.encode()


def _same_user(connection: socket.socket) -> bool:
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(found)[1] == os.getuid())


def _send(connection: socket.socket, head: list[Any], body: bytes) -> None:
    data = msgspec.msgpack.encode(head)
    connection.sendall(_FRAME.pack(_MAGIC, len(data), len(body)) + data + (body if len(body) < 65536 else b""))
    if len(body) >= 65536:
        connection.sendall(body)


def _receive(connection: socket.socket) -> tuple[list[Any], bytes]:
    magic, head, body = _FRAME.unpack(_exactly(connection, _FRAME.size))
    if magic != _MAGIC:
        raise EOFError("no message of a memory job store")
    found: list[Any] = msgspec.msgpack.decode(_exactly(connection, head), type=list[Any])
    return found, _exactly(connection, body)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        got = connection.recv_into(view[done:])
        if not got:
            raise EOFError("the connection ended")
        done += got
    return bytes(data)
