"""The loop around the graph: one queue in, the batch system and the job store out.

It waits on nothing but its queue. One thread passes on the batch system's updates; signals
and other threads put what they have to say into the same queue.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable
from dataclasses import replace

from toil_core.batch_system import BatchSystem, CanInterrupt, HasSlots, Reason, Request, State, Update
from toil_core.errors import CorruptBlob, NoSuchKey
from toil_core.events import JobStarted
from toil_core.job_store import JobStore
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.graph import Graph
from toil_core.leader.moves import (
    Cancel,
    Command,
    Committed,
    Delete,
    Event,
    Failed,
    Finish,
    Interrupt,
    RequestEnded,
    Said,
    StopAsked,
    Submit,
    Sweep,
    TimePassed,
    Wake,
)
from toil_core.leader.state import OpenRequest, untold
from toil_core.leader.surroundings import REAL, Surroundings
from toil_core.leader.tell import TOLD, Teller
from toil_core.leader.unheard import Unheard
from toil_core.leader.watch import Watch
from toil_core.wire import commits, keys, work
from toil_core.wire.commits import Commit, create_once

_log = logging.getLogger("toil.leader")
_FEW = 32
"""So many listings of a part of the files cost less than one of all files."""


class Loop:
    """Carries one workflow to its end.

    Args:
        graph: The graph, filled.
        store: The job store.
        worker_locator: The job store's locator for workers.
        setup: Key of the setup blob.
        batch: The batch system.
        checkpoints: Where the graph is folded.
        teller: Who is told what happens.
        watch: What it does for those outside, if anything.
        local: What runs local jobs, when the batch system does not.
        grace: Seconds that a service may take to stop.
        around: The world around the leader.
    """

    def __init__(
        self,
        graph: Graph,
        store: JobStore,
        worker_locator: str,
        setup: str,
        batch: BatchSystem,
        checkpoints: Checkpoints,
        teller: Teller,
        watch: Watch | None = None,
        local: BatchSystem | None = None,
        grace: float = 30.0,
        around: Surroundings = REAL,
    ) -> None:
        self._graph = graph
        self._store = store
        self._worker_locator = worker_locator
        self._setup = setup
        self._batch = batch
        self._slots = batch if isinstance(batch, HasSlots) else None  # asked once, as the answer costs more than a turn's own work
        self._checkpoints = checkpoints
        self._teller = teller
        self._watch = watch
        self._local = local
        self._grace = grace
        self._now, self._random_bytes = around.now, around.random_bytes
        self._inbox = around.inbox()
        self._submits: list[Request] = []
        self._local_submits: list[Request] = []
        self._running: set[str] = set()
        self._unheard = Unheard()
        self._wake: float | None = None
        self._finish: Finish | None = None

    def stop(self) -> None:
        """Ask for an orderly stop; may be called from a signal handler or another thread."""
        self._inbox.stop()

    def run(self) -> Finish:
        """Run to the end, and say what it was.

        Raises:
            LeaderReplaced: Another leader took over.
        """
        for batch in self._batches:
            self._inbox.listen(batch)
        self._carry_out(self._graph.resume())
        self._flush()
        self._look(changed=True)
        while self._finish is None:
            self._take(self._next())
        return self._finish

    @property
    def _batches(self) -> list[BatchSystem]:
        return [self._batch] if self._local is None else [self._batch, self._local]

    def _next(self) -> list[Update] | None:
        """What happened next; an empty list when only time passed."""
        times = [at for at in (self._wake, self._unheard.at, self._watch.at if self._watch else None) if at is not None]
        return self._inbox.get(min(max(0.0, min(times) - self._now()), threading.TIMEOUT_MAX) if times else None)

    def _take(self, item: list[Update] | None) -> None:
        if item is None:
            _log.warning("asked to stop: what runs is being ended; press Ctrl-C again to leave at once")
            self._apply(StopAsked())
            return
        for update in item:
            self._update(update)
        if self._slots is not None:
            self._resize(self._slots.slots())
        if self._wake is not None and self._now() >= self._wake:
            self._wake = None
            self._apply(TimePassed(self._now()))
        if self._unheard.at is not None:
            self._look_for_services()
        self._flush()
        if self._finish is None and self._checkpoints.due(self._graph):
            self._checkpoints.write(self._graph)
        self._look(changed=bool(item))

    def _resize(self, slots: float) -> None:
        """Size batches by the cores that there are now."""
        issuer = self._graph.issuer
        if slots != issuer.sizing.slots:
            issuer.sizing = replace(issuer.sizing, slots=slots)
            self._apply(TimePassed(self._now()))
            if self._watch is not None:
                self._watch.resized(slots)

    def _look(self, *, changed: bool) -> None:
        """Do what those outside need, when it is time."""
        if self._watch is None or self._finish is not None:
            return
        if changed:
            self._watch.changed()
        if (at := self._watch.at) is not None and (now := self._now()) >= at and self._watch.turn(self._graph, now):
            self._apply(StopAsked())

    # Updates

    def _update(self, update: Update) -> None:
        if update.id in self._graph.requests:
            if update.messages:
                self._said(update)
            elif update.state is State.RUNNING:
                self._started(update)
            elif update.commit is not None:
                self._carried(update.id, update.number, update.commit)
            elif update.state is State.COMMITTED:
                self._read_commit(update.id, update.number)
        if update.state is State.ENDED:
            self._ended(update)

    def _started(self, update: Update) -> None:
        self._running.add(update.id)
        now = self._now()
        request = self._graph.requests[update.id]
        request.node, request.started = update.node, request.started or now
        for job in request.jobs.values() if self._teller.heard else ():
            self._teller.tell(JobStarted(now, job.id, job.kind.name, update.id, update.node))

    def _said(self, update: Update) -> None:
        """Pass on what running jobs tell the user."""
        for said in update.messages:
            self._teller.command(Said(*said))

    def _ended(self, update: Update) -> None:
        if update.id in self._graph.requests:  # of most requests the last commit says that they end
            self._settle(update)
        self._running.discard(update.id)

    def _settle(self, update: Update) -> None:
        """Do what the worker did not: read its commits, and close the door behind them."""
        while (request := self._graph.requests.get(update.id)) and update.commits is not None and request.next < update.commits:
            if not self._read_commit(update.id, request.next):
                break
        if update.id in self._graph.requests:
            reason = update.reason or Reason.NODE_LOST
            ran = update.id in self._running or _says_it_ran(update)
            may_live = ran or reason not in (Reason.CANCELLED, Reason.TOO_BIG)
            if may_live and not self._graph.stopping:
                self._void(update.id, reason)
            elif may_live:  # what is not issued again in this epoch needs no fence, but what is done counts, and what is not leaves no files
                while (request := self._graph.requests.get(update.id)) and self._read_commit(update.id, request.next, sure=False):
                    pass
                if request:
                    self._sweep(update.id, request)
            self._apply(RequestEnded(update.id, reason, update.message, self._now()))

    def _void(self, id: str, reason: Reason) -> None:
        """Take the request's next commit away from a worker that may still live."""
        while request := self._graph.requests.get(id):
            key = keys.commit(id, request.next)
            if create_once(self._store, key, commits.encode(id, request.next, void=reason, mark=self._random_bytes(8))):
                self._graph.garbage.append(key)
                self._sweep(id, request)
                return
            if not self._read_commit(id, request.next):
                self._graph.garbage.append(keys.commit(id, request.next))
                request.next += 1

    def _sweep(self, id: str, request: OpenRequest) -> None:
        """Delete the files of attempts that can never count any more; their worker may have had no time to."""
        found = [blob.key for blob in self._store.list(f"{keys.FILES}{id}/")]
        self._checkpoints.delete_files(key for key in found if untold(id, key.split("/", 3)[2], request.untold, request.told))

    def _read_commit(self, id: str, number: int, *, sure: bool = True) -> bool:
        """Apply a commit that the batch system did not carry, and perhaps only that; False when it cannot be read, or is not there."""
        key = keys.commit(id, number)
        try:
            commit, start, payload = commits.read_with_payload(self._store, key)
        except (CorruptBlob, NoSuchKey) as error:
            if sure:
                _log.warning("%s; its jobs run again", error)
            return False
        self._commit(commit, key, start, payload)
        return True

    def _look_for_services(self) -> None:
        """Read the commits of services that are up, and of which nobody has told."""
        for id in self._unheard.due(self._graph.services.starting, self._now()):
            if request := self._graph.requests.get(id):
                self._read_commit(id, request.next, sure=False)

    def _carried(self, id: str, number: int, data: bytes) -> None:
        """Apply a commit that the batch system carried: whole, or its first bytes."""
        key = keys.commit(id, number)
        try:
            commit, start = commits.decode(data, key)
            payload = commits.sound(commit, data[start:], key) if len(data) == start + commit.size else None
        except CorruptBlob as error:
            _log.warning("%s; it was altered on its way, and is read from the job store", error)
            self._read_commit(id, number)
        else:
            self._commit(commit, key, start, payload)

    def _commit(self, commit: Commit, key: str, start: int, payload: bytes | None) -> None:
        self._checkpoints.changed(len(commit.entries))
        self._apply(Committed(commit, key, start, payload, self._now()))

    # Commands

    def _apply(self, event: Event) -> None:
        self._carry_out(self._graph.apply(event))

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if type(command) is Submit:
                self._prepare(command)
            elif type(command) in TOLD:  # as most others; `match` takes ten times as long to say no to one class
                self._teller.command(command)
            else:
                self._carry_out_rare(command)
        if len(self._submits) >= 16:
            self._flush()

    def _carry_out_rare(self, command: Command) -> None:
        match command:
            case Cancel():
                self._flush()  # what was not submitted cannot be cancelled
                for batch in self._batches:
                    batch.cancel(command.requests)
            case Interrupt():
                self._flush()
                self._interrupt(command.requests)
            case Sweep():
                self._checkpoints.delete_files(_files(self._store, command.prefixes))
            case Delete():
                self._checkpoints.delete_files(command.keys)
            case Wake():
                self._wake = command.at
            case Finish():
                self._finish = command
            case Failed():  # perhaps because another leader took over and deleted what was needed
                self._checkpoints.check_leader()
                self._teller.command(command)

    def _prepare(self, submit: Submit) -> None:
        """Have the request sent with the next ones."""
        if submit.kind.service:
            self._unheard.sent(self._now())
        local = self._local is not None and submit.kind.local
        (self._local_submits if local else self._submits).append(self._request(submit))

    def _flush(self) -> None:
        if self._submits:
            requests, self._submits = self._submits, []
            self._batch.submit(requests)
        if self._local_submits and self._local is not None:
            requests, self._local_submits = self._local_submits, []
            self._local.submit(requests)

    def _interrupt(self, ids: Iterable[str]) -> None:
        for batch in self._batches:
            if isinstance(batch, CanInterrupt):
                batch.interrupt(ids, self._grace)
            else:  # its workers get SIGTERM, and services stop on that
                batch.cancel(ids)

    def _request(self, submit: Submit) -> Request:
        task = work.Work(submit.request, self._worker_locator, self._setup, (submit.kind,), submit.tasks, submit.chain)
        return Request(submit.request, submit.name, submit.requirement, work.encode(task), lasting=submit.kind.service)


def _says_it_ran(update: Update) -> bool:
    """Whether the news of an end come from somebody who ran it, though perhaps nobody heard of its beginning; another may run it too."""
    return update.commits is not None or update.exit_code is not None or update.usage is not None or bool(update.node)


def _files(store: JobStore, prefixes: Collection[str]) -> list[str]:
    """The keys of all blobs whose keys begin with one of the prefixes."""
    if len(prefixes) <= _FEW:
        return [blob.key for prefix in prefixes for blob in store.list(prefix)]
    wanted = set(prefixes)
    found = (blob.key for blob in store.list(keys.FILES))
    return [key for key in found if "/".join(key.split("/", 3)[:3]) + "/" in wanted]
