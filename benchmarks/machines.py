"""Simulated machines in a process of their own, so that what they make and hold is no part of what the leader costs.

The leader's process sends requests through a pipe and is told what they came to. Here they end at once: the commits that workers
would have made are written into the job store.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import IO

import msgspec

from benchmarks.catalog import ROOT
from benchmarks.leader import NullMachine, Program
from toil_core.batch_system import BatchSystem, Request, State, Update
from toil_core.drivers.file import FileJobStore
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.work import decode_work

CARRIED = 65536
"""The largest commit that an update carries whole, as for the real workers."""
_LENGTH = 8


class Order(msgspec.Struct, frozen=True):
    """What the machines' process is told first.

    Args:
        shape: The workflow's shape; see `Program`.
        size: How many jobs, about.
        place: The job store's folder.
    """

    shape: str
    size: int
    place: str


class Machines(BatchSystem):
    """The leader's end.

    Args:
        order: What runs.
        dies_at: So many jobs have run when the leader dies.

    Attributes:
        requests: How many requests were sent.
        jobs: How many jobs these held.
        seconds: Processor time of this end, which is the benchmark's and not the leader's.
    """

    def __init__(self, order: Order, dies_at: int) -> None:
        self._dies_at = dies_at
        command = [sys.executable, "-m", "benchmarks.machines"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._out, self._in = self._process.stdin, self._process.stdout
        _send(self._out, msgspec.msgpack.encode(order))
        self._sent: list[tuple[str, bytes]] = []
        self.requests = self.jobs = 0
        self.seconds = 0.0

    def submit(self, requests: Sequence[Request]) -> None:
        self.requests += len(requests)
        self._sent += [(request.id, request.work) for request in requests]

    def updates(self, seconds: float | None = None) -> list[Update]:
        if self.jobs >= self._dies_at:
            raise KeyboardInterrupt
        start = time.thread_time()
        sent, self._sent = self._sent, []
        _send(self._out, msgspec.msgpack.encode(sent))
        del sent
        more, told = _told.decode(_take(self._in))
        self.jobs += more
        news = [Update(id, State.ENDED, commit=commit, commits=1) for id, commit in told]
        self.seconds += time.thread_time() - start
        return news

    def cancel(self, ids: Iterable[str]) -> None:
        pass

    def close(self) -> None:
        self._out.close()
        self._in.close()
        self._process.wait()


_sent = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
_told = msgspec.msgpack.Decoder(tuple[int, list[tuple[str, bytes]]])


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH, "little"))
    pipe.write(data)
    pipe.flush()


def _take(pipe: IO[bytes]) -> bytes:
    return pipe.read(int.from_bytes(pipe.read(_LENGTH), "little"))


def main() -> None:
    """Answer requests until the leader's end is closed."""
    pipe, out = sys.stdin.buffer, sys.stdout.buffer
    order = msgspec.msgpack.decode(_take(pipe), type=Order)
    machine = NullMachine(Program(order.shape, order.size, isolated=True).behave)
    with FileJobStore(order.place, Config()) as store:
        while message := _take(pipe):
            before, told = machine.jobs, []
            for id, work in _sent.decode(message):
                data = machine.commit(decode_work(work))
                store.create(keys.commit(id, 0), data)
                told.append((id, data if len(data) <= CARRIED else data[: commits.header_size(data, "")]))
            _send(out, msgspec.msgpack.encode((machine.jobs - before, told)))


if __name__ == "__main__":
    main()
