"""A host tells those of its user who ask, on the same machine, what it runs and where that prints to."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from toil_core.worker.epoch import Epoch
from toil_core.worker.loop import Loop
from toil_core.worker.running import Running

NAME = "ask"
"""The socket's name in the host's folder, which only its user may enter."""


class Place(msgspec.Struct, frozen=True):
    """A request that runs.

    Args:
        request: Its id.
        jobs: Its jobs that have not ended; the first one runs.
        folder: Its slot's folder, with the file `log` and the folder `tmp`.
    """

    request: str
    jobs: tuple[str, ...]
    folder: str


class Answers:
    """Listens in the host's folder; whoever connects gets a list of places as JSON, and that is all.

    Args:
        loop: The host's loop.
        folder: The host's folder.
        requests: What the host knows of; looked at when somebody asks, in the loop's thread.
    """

    def __init__(self, loop: Loop, folder: Path, requests: Mapping[str, tuple[Epoch, Running]]) -> None:
        self._requests = requests
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(str(folder / NAME))
        except OSError:  # its path is too long for a socket: then nobody can ask
            self._socket.close()
            return
        self._socket.listen(8)
        self._socket.setblocking(False)
        loop.at_end(self._socket.close)
        loop.call(lambda: loop.watch(self._socket.fileno(), self._answer))

    def _answer(self) -> None:
        try:
            asker, _ = self._socket.accept()
        except BlockingIOError:
            return
        with asker:
            asker.setblocking(False)
            asker.send(msgspec.json.encode([place for epoch, running in self._requests.values() if (place := _place(epoch, running))]))


def _place(epoch: Epoch, running: Running) -> Place | None:
    if epoch.server is None or running.slot < 0 or not running.flying:
        return None
    jobs = tuple(running.tasks[index].job for index in sorted(running.flying) if index in running.tasks)
    return Place(running.id, jobs, f"{epoch.server.folder}/{running.slot}")
