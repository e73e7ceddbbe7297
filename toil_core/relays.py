"""A local port that leads elsewhere: for transports that forward ports by themselves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

CHUNK = 1 << 16


class Pipe(Protocol):
    """What a connection must be able to do; sockets can."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> object: ...
    def shutdown(self, how: int, /) -> object: ...
    def close(self) -> object: ...


@contextmanager
def relay(connect: Callable[[], Pipe]) -> Iterator[int]:
    """While open, whoever connects to the local port (of 127.0.0.1 only) that is given talks to what `connect` opens.

    Args:
        connect: Called for each connection, in a thread of its own; when it raises OSError the connection is closed.
    """
    server = socket.create_server(("127.0.0.1", 0))
    peers: set[Pipe] = set()
    accepting = threading.Thread(target=_accept, args=(server, connect, peers), daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        accepting.join()
        server.close()
        for peer in list(peers):
            _end(peer)


def _accept(server: socket.socket, connect: Callable[[], Pipe], peers: set[Pipe]) -> None:
    while True:
        try:
            near, _ = server.accept()
        except OSError:
            return
        peers.add(near)
        threading.Thread(target=_serve, args=(near, connect, peers), daemon=True).start()


def _serve(near: socket.socket, connect: Callable[[], Pipe], peers: set[Pipe]) -> None:
    try:
        far = connect()
    except OSError:
        _end(near)
        peers.discard(near)
        return
    peers.add(far)
    back = threading.Thread(target=_pump, args=(far, near), daemon=True)
    back.start()
    _pump(near, far)
    back.join()
    for peer in (near, far):
        _end(peer)
        peers.discard(peer)


def _pump(source: Pipe, target: Pipe) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _end(peer: Pipe) -> None:
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
    peer.close()
