"""A node's side: lives in a Dask worker, with a worker host for each leader.

A leader's presence on the node is a task of Dask's that lasts, and so is each of its requests. When Dask drops such a task,
because the leader is done with it or is gone, what it stands for is ended here. The jobs themselves run in processes that
a small fork server makes, never in this one.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import toil_core
from distributed import Worker
from distributed.comm import get_address_host
from distributed.diagnostics.plugin import WorkerPlugin
from toil_core.batch_system import Reason, Requirement, State, Update
from toil_core.devices import Devices
from toil_core.errors import BadOption
from toil_core.options import Config
from toil_core.room import NOTHING
from toil_core.worker_host import WorkerHost, decode_work, machine_offer

from toil_dask import messages
from toil_dask.messages import Hello, Join, News, Notice, Order, Others, Wish

PLUGIN = "toil"
CARRIED = 16 * 1024
"""The largest commit that goes to the leader whole: Dask's scheduler remembers many events."""
GOING = "the node was about to be taken away, and began nothing more"


@dataclass(eq=False)
class _Run:
    """A request that Dask has begun.

    Args:
        id: The request.
        needed: What was set aside for it.
        lasting: Whether it ends only once others have.
        store: The locator of its job store.
        started: Whether the host has it.
        dropped: Whether Dask has dropped it.
        ended: Set at its end.
    """

    id: str
    needed: Requirement
    lasting: bool
    store: str = ""
    started: bool = False
    dropped: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Guest:
    """A leader that has work here.

    Args:
        leader: Its Dask client.
        host: What runs its requests.
        over: Set when the leader is gone, or has said so.
        closed: Set when nothing of it is left.
        runs: Its requests, by id.
        others: What it was told that the other leaders' requests hold, and those of them that last.
    """

    leader: str
    host: WorkerHost | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    runs: dict[str, _Run] = field(default_factory=dict)
    others: tuple[Requirement, Requirement] = (NOTHING, NOTHING)


class Node(WorkerPlugin):
    """The hosts of one Dask worker. All but the delivery of updates happens in the worker's event loop.

    Args:
        offer: What there is for jobs, when that is known; else what Dask and the machine say.
    """

    name = PLUGIN

    def __init__(self, offer: Requirement | None = None) -> None:
        self.id = uuid.uuid4().hex
        self._offer = offer
        self._guests: dict[str, _Guest] = {}
        self._presences: dict[str, _Guest] = {}
        self._requests: dict[str, tuple[_Guest, _Run]] = {}
        self._outbox: dict[str, list[Update]] = {}
        self._lock = threading.Lock()
        self._noticed = False
        self._given_back = asyncio.Event()
        self._telling = False

    def setup(self, worker: Worker) -> None:
        """Find out what this node has."""
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._label = worker.name if isinstance(worker.name, str) and "://" not in worker.name else get_address_host(worker.address)
        self._devices = Devices(self._offer.accelerators if self._offer else machine_offer(Path("/")).accelerators)

    async def teardown(self, worker: Worker) -> None:
        """End everything."""
        await asyncio.gather(*map(self.leave, list(self._guests)))

    def notice(self) -> None:
        """The machine will be taken away: tell all leaders, also those to come."""
        self._noticed = True
        self._given_back.set()  # what waits for accelerators waits no longer
        for leader, guest in self._guests.items():
            self._tell(leader, Notice(self.id))
            if guest.host is not None:
                guest.host.wind_down()

    # Leaders

    async def attend(self, join: Join) -> None:
        """Work for a leader until it is gone.

        Raises:
            BadOption: The folder for temporary files cannot be used.
        """
        root = Path(join.work_dir or os.environ.get("TMPDIR") or "/tmp")
        if not root.is_dir() or not os.access(root, os.W_OK | os.X_OK):
            raise BadOption(f"{root} on node {self._label} is no folder that can be written to; choose one with --work-dir")
        config = Config.from_dict(join.config)
        guest = self._guests[join.leader] = self._presences[join.key] = _Guest(join.leader)
        deliver = partial(self._deliver, guest)
        making = asyncio.ensure_future(
            asyncio.to_thread(lambda: WorkerHost(root, deliver, config, node=self._label, live=True, carried=CARRIED))
        )
        try:
            guest.host = await asyncio.shield(making)
            self._tell(join.leader, self._hello(join.key, root))
            if self._noticed:
                self._tell(join.leader, Notice(self.id))
                guest.host.wind_down()
            self._held_changed()
            await guest.over.wait()
        finally:
            del self._presences[join.key]
            await asyncio.shield(self._end(guest, making))  # to its end, though Dask cancels a task whenever it likes

    async def _end(self, guest: _Guest, making: asyncio.Future[WorkerHost]) -> None:
        """Leave nothing of a leader here."""
        try:
            await asyncio.wait([making])
            if making.exception() is None:
                await asyncio.to_thread(making.result().close)
        finally:
            if self._guests.get(guest.leader) is guest:
                del self._guests[guest.leader]
            for run in guest.runs.values():
                run.ended.set()
            guest.closed.set()

    async def leave(self, leader: str) -> None:
        """End all that runs for the leader, and wait for that."""
        guest = self._guests.get(leader)
        if guest is not None:
            guest.over.set()
            await guest.closed.wait()

    def _hello(self, presence: str, root: Path) -> Hello:
        offer, guarded = offer_of(self._worker, root)
        python = ".".join(platform.python_version_tuple()[:2])
        return Hello(presence, self.id, self._worker.address, self._label, self._offer or offer, guarded, toil_core.__version__, python)

    # Requests

    async def perform(self, order: Order) -> None:
        """Run the request to its end."""
        guest = self._guests.get(order.leader)
        if guest is None or guest.host is None or guest.over.is_set():
            return
        if self._noticed:  # it was on its way here when the leader heard of it
            self._send_back(guest, order)
            return
        run = _Run(order.request, order.requirement, order.lasting, dropped=self.dropped(order.key))
        guest.runs[run.id], self._requests[order.key] = run, (guest, run)
        self._held_changed()
        try:
            work = decode_work(order.work)
            run.store = work.store
            self._end_older(run)
            while not run.dropped and not self._noticed and (numbers := self._devices.find(order.requirement.accelerators)) is None:
                self._given_back.clear()
                await self._given_back.wait()
            if run.dropped:
                self._deliver(guest, Update(run.id, State.ENDED, Reason.CANCELLED))
                return
            if self._noticed:
                self._send_back(guest, order)
                return
            with self._lent(numbers or ()) as variables:
                run.started = True
                guest.host.start(work, order.requirement, {**order.environment, **variables})
                await run.ended.wait()
        except msgspec.MsgspecError as error:
            self._deliver(guest, Update(run.id, State.ENDED, Reason.FAILED, message=f"unreadable work: {error}"))
        finally:
            del guest.runs[run.id], self._requests[order.key]
            self._held_changed()

    def _send_back(self, guest: _Guest, order: Order) -> None:
        """Do not begin the request, as the node goes."""
        self._deliver(guest, Update(order.request, State.ENDED, Reason.PREEMPTED, message=GOING, node=self._label))

    def interrupt(self, wish: Wish) -> tuple[str, ...]:
        """Ask requests to end in good order; those that do not run here."""
        guest = self._guests.get(wish.leader)
        running = {run.id for run in guest.runs.values() if run.started} if guest else set()
        for request in running.intersection(wish.requests):
            if guest is not None and guest.host is not None:
                guest.host.interrupt(request, wish.seconds)
        return tuple(request for request in wish.requests if request not in running)

    def dropped(self, key: str) -> bool:
        """Whether Dask has dropped the task although its function was called."""
        task = self._worker.state.tasks.get(key)
        return task is None or task.state not in ("executing", "long-running")

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Dask thinks anew of a task; what it drops is ended."""
        if finish != "released" or not isinstance(key, str):
            return
        if key in self._presences:
            self._presences[key].over.set()
        elif key in self._requests:
            self._drop(*self._requests[key])
        elif start in ("waiting", "ready", "constrained"):
            for guest in self._guests.values():
                if key.startswith(prefix := task_key(guest.leader, "")):
                    self._deliver(guest, Update(key.removeprefix(prefix), State.ENDED, Reason.CANCELLED))

    def _drop(self, guest: _Guest, run: _Run) -> None:
        run.dropped = True
        self._given_back.set()
        if run.started and guest.host is not None:
            guest.host.cancel(run.id)

    def _end_older(self, new: _Run) -> None:
        """A request of a workflow's later leader ends those of its earlier ones, whose end Dask has not seen yet."""
        for guest, run in self._requests.values():
            if run.store == new.store and _epoch(run) < _epoch(new) and guest.host is not None:
                self._drop(guest, run)

    @contextmanager
    def _lent(self, numbers: tuple[int, ...]) -> Iterator[dict[str, str]]:
        """The variables that tell a request its accelerators; they are its own meanwhile."""
        self._devices.take(numbers)
        try:
            yield {"CUDA_VISIBLE_DEVICES": ",".join(map(str, numbers))} if numbers else {}
        finally:
            self._devices.give_back(numbers)
            self._given_back.set()

    # News

    def _deliver(self, guest: _Guest, update: Update) -> None:
        """Pass an update on, together with those that come at the same time; from any thread."""
        with self._lock:
            waiting = self._outbox.setdefault(guest.leader, [])
            waiting.append(update)
            first = len(waiting) == 1
        if first:
            self._loop.call_soon_threadsafe(self._flush, guest)

    def _flush(self, guest: _Guest) -> None:
        with self._lock:
            updates = self._outbox.pop(guest.leader, [])
        self._tell(guest.leader, News(self.id, tuple(updates)))
        for update in updates:
            if update.state is State.ENDED and update.id in guest.runs:
                guest.runs[update.id].ended.set()

    def _held_changed(self) -> None:
        """Tell each leader what the others' requests hold, once for all that changes at the same time."""

        def telling() -> None:
            self._telling = False
            for leader, guest in self._guests.items():
                runs = [run for other, run in self._requests.values() if other is not guest]
                held = _together(run.needed for run in runs), _together(run.needed for run in runs if run.lasting)
                if guest.host is not None and held != guest.others:
                    guest.others = held
                    self._tell(leader, Others(self.id, *held))

        if not self._telling and (len(self._guests) > 1 or any(guest.others != (NOTHING, NOTHING) for guest in self._guests.values())):
            self._telling = True
            self._loop.call_soon(telling)

    def _tell(self, leader: str, message: Hello | News | Notice | Others) -> None:
        self._worker.log_event(leader, messages.encode(message))


def task_key(leader: str, name: str) -> str:
    """The key of a leader's task with that name."""
    return f"toil-{leader}-{name}"


def offer_of(worker: Worker, root: Path) -> tuple[Requirement, tuple[str, ...]]:
    """What a Dask worker has for jobs, and which of it Dask counts there: its resources, else its threads and its memory limit."""
    there = worker.state.total_resources
    found = machine_offer(root)
    offer = replace(
        found,
        cores=there.get("cores") or worker.state.nthreads,
        memory=int(there.get("memory") or getattr(worker.memory_manager, "memory_limit", 0) or found.memory),
        disk=int(there.get("disk") or found.disk),
        preemptible=there.get("preemptible", 0) > 0,
    )
    return offer, tuple(name for name in ("cores", "memory", "disk", "gpu") if name in there)


def _together(needed: Iterable[Requirement]) -> Requirement:
    """The cores, memory and disk of all of them."""
    every = list(needed)
    return Requirement(sum(one.cores for one in every), sum(one.memory for one in every), sum(one.disk for one in every))


def _epoch(run: _Run) -> int:
    """Which of its workflow's leaders a request comes from."""
    number = run.id.partition("-")[0]
    return int(number) if number.isdigit() else 0
