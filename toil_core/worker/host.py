"""The worker host: runs requests on this machine, from a thread of its own, and makes their commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic, time

from toil_core.batch_system import Reason, Requirement, State, Update, Usage
from toil_core.errors import Transient
from toil_core.job_store import JobStore
from toil_core.options import Config
from toil_core.wire import commits, keys
from toil_core.wire.jobs import Failure, Ref
from toil_core.wire.work import Setup, Work
from toil_core.worker import deferred, procfs
from toil_core.worker.answers import Answers
from toil_core.worker.deployment import open_deployed
from toil_core.worker.epoch import Epoch
from toil_core.worker.folders import RunFolder
from toil_core.worker.held import Held
from toil_core.worker.interrupts import Interrupts
from toil_core.worker.io_threads import IoThreads, forgiving, pause
from toil_core.worker.loop import Loop
from toil_core.worker.messages import Ended, Item, Kill, Lost, Ready, Results, Said
from toil_core.worker.running import Finished, Running, decode_result, encode, usage_of
from toil_core.worker.server_process import ServerProcess
from toil_core.worker.settle import blame, discard, failed, fetch_all, settle, sweep, told, with_log, words
from toil_core.worker.shelf import Shelf

CARRIED = 256 * 1024
"""The largest commit that an update carries whole."""
TRIES = 8
"""How often the job store is asked again when it fails in a way that may pass."""


class WorkerHost:
    """Runs the tasks of requests in forked processes.

    Each setup has one fork server, started when its first request comes. The host itself never
    forks, and waits for nothing but news. Updates are delivered from the host's thread, those
    of one request in order.

    Args:
        work_root: Folder for temporary files; the host makes its own folder in it, and removes those of hosts that died.
        deliver: Takes each update; must not block.
        config: The options until those of a run are known.
        node: What to call this machine in updates.
        io_threads: The most threads that use the job store at once, when it is a slow one.
        keep_cache: Whether the node's cache of files is to wait for the run's next worker when this host closes.
        live: Whether `deliver` passes on what jobs tell the user while they run; else their commits tell it.
        carried: Bytes of the largest commit that an update carries whole.
    """

    def __init__(
        self,
        work_root: Path,
        deliver: Callable[[Update], None],
        config: Config,
        *,
        node: str = "",
        io_threads: int = 16,
        keep_cache: bool = False,
        live: bool = False,
        carried: int = CARRIED,
    ) -> None:
        self._deliver = deliver
        self._config = config
        self._node = node
        self._keep_cache = keep_cache
        self._live, self._carried = live, carried
        self._run = RunFolder(work_root)
        self._io = IoThreads(io_threads, "toil-io")
        self._epochs: dict[tuple[str, str], Epoch] = {}
        self._requests = Held(self._run.tell)
        self._numbers = count()
        self._closed = False
        self._items: dict[tuple[int, int], Item] = {}
        self._loop = Loop("toil-worker-host", self._shut, self._failed)
        self._answers = Answers(self._loop, self._run.path, self._requests)
        self._loop.at_end(self._run.remove)  # when nothing in it is open any more
        self.interrupt = Interrupts(self._loop, self._requests, self._abandon, self._watch).ask
        """Asks a request to end in good order; see `Interrupts.ask`."""
        self.wind_down = partial(self._loop.call, self._requests.wind_down)
        """Lets requests end, as the machine goes: see `Held.wind_down`. Nothing is to be started here after it."""

    def start(self, work: Work, requirement: Requirement, environment: Mapping[str, str] | None = None) -> None:
        """Run the work; its fate comes as updates.

        Args:
            work: What to run.
            requirement: What of the machine is set aside for it.
            environment: Variables to add.
        """
        self._loop.call(lambda: self._start(work, requirement, environment or {}))

    def cancel(self, request: str) -> None:
        """End the request with all its processes; it gives an ENDED update unless it is unknown or has ended."""
        self._loop.call(lambda: self._cancel(request))

    def close(self) -> None:
        """End every process and remove every temporary file. Doing it twice is harmless."""
        if not self._closed:
            self._closed = True
            self._loop.close(60.0)

    # Starting

    def _start(self, work: Work, requirement: Requirement, environment: Mapping[str, str]) -> None:
        if work.request in self._requests:
            return
        running = Running(next(self._numbers), work, requirement, environment)
        key = (work.store, work.setup)
        epoch = self._epochs.get(key)
        if epoch is None:
            epoch = self._epochs[key] = Epoch(*key, self._keep_cache)
            self._open(epoch, 0)
        self._requests[running.id] = (epoch, running)
        if epoch.open:
            self._prepare(epoch, running, 0)
        else:
            epoch.waiting.append(running)

    def _open(self, epoch: Epoch, tries: int) -> None:
        def opening() -> None:
            try:
                store, setup, shelf = open_deployed(epoch.locator, epoch.key, self._config, self._run.path)
            except Exception as error:  # noqa: BLE001 - reported to whoever waits for the request
                self._loop.call(partial(self._not_opened, epoch, tries, error))
            else:
                self._loop.call(lambda: opened(store, setup, shelf))

        def opened(store: JobStore, setup: Setup, shelf: Shelf | None) -> None:
            epoch.start(store, setup, self._config, shelf)
            waiting, epoch.waiting = epoch.waiting, []
            for running in waiting:
                self._prepare(epoch, running, 0)

        self._io.run(opening)

    def _not_opened(self, epoch: Epoch, tries: int, error: Exception) -> None:
        if isinstance(error, Transient) and tries < TRIES:
            self._loop.later(pause(tries), lambda: self._open(epoch, tries + 1))
            return
        del self._epochs[epoch.locator, epoch.key]
        for running in epoch.waiting:
            self._give_up(epoch, running, blame(error), words(error))

    def _prepare(self, epoch: Epoch, running: Running, tries: int) -> None:
        refs = running.refs()
        if running.ending or not refs:
            self._dispatch(epoch, running)
            return

        def reading() -> None:
            blobs = fetch_all(epoch.store, refs)
            self._loop.call(lambda: read(blobs))

        def read(blobs: Mapping[Ref, bytes | str]) -> None:
            for index, why in running.resolve(blobs):
                if index in running.ready:
                    running.ready.remove(index)
                job = running.tasks[index].job
                self._finish(epoch, running, index, failed(job, Failure(Reason.FAILED, why, retry=False), time()), ok=False)
            self._dispatch(epoch, running)

        self._store_io(epoch, running, reading)

    def _dispatch(self, epoch: Epoch, running: Running) -> None:
        if running.flying or running.settling or not running.ready or running.ending:
            self._proceed(epoch, running)
            return
        if epoch.broken is not None:
            self._fail_all(epoch, running, epoch.broken)
            return
        server = epoch.server or self._serve(epoch)
        if running.slot < 0:
            running.slot = epoch.take_slot()
        epoch.running[running.number] = running
        server.send(running.batch())
        self._watch(epoch, server)
        if not running.told:
            running.told = True
            self._deliver(Update(running.id, State.RUNNING, node=self._node))

    # The fork server

    def _serve(self, epoch: Epoch) -> ServerProcess:
        server = epoch.serve(self._run.path, next(self._numbers), live=self._live)
        self._loop.watch(server.death, lambda: self._bury(epoch, server))
        return server

    def _watch(self, epoch: Epoch, server: ServerProcess) -> None:
        self._loop.watch(server.sock.fileno(), lambda: self._hear(epoch, server), writing=server.blocked)

    def _hear(self, epoch: Epoch, server: ServerProcess) -> None:
        if server.blocked:
            server.flush()
            self._watch(epoch, server)
        for message in server.receive():
            if isinstance(message, Ready):
                epoch.loaded = True
                if message.error:
                    why = f"cannot load the workflow's modules: {message.error}"
                    epoch.broken = Failure(Reason.FAILED, why, tail=message.trace, retry=False)
                continue
            running = epoch.running.get(message.work)
            if running is None:
                continue
            if isinstance(message, Results):
                self._results(epoch, running, message)
            elif isinstance(message, Ended):
                self._ended(epoch, running, message)
            elif isinstance(message, Said):
                said = ((*running.said(message.index), message.level, message.text),)
                self._deliver(Update(running.id, State.RUNNING, node=self._node, messages=said))
            else:
                running.flying.clear()
                if isinstance(message, Lost):
                    self._run_deferred(message.deferred)
                    running.abandon(Reason.NODE_LOST, "the process that ran this job's attempts was ended")
                self._proceed(epoch, running)

    def _bury(self, epoch: Epoch, server: ServerProcess) -> None:
        """The fork server is dead: hear its last words, and end what it leaves."""
        self._hear(epoch, server)
        self._loop.forget(server.sock.fileno())
        self._loop.forget(server.death)
        epoch.server = None
        how = server.ending()
        if not epoch.loaded and not server.killed:
            epoch.broken = Failure(Reason.FAILED, f"cannot load the workflow's modules: {how}", retry=False)
        server.bury()
        for path in deferred.left(str(self._run.path), f"{server.folder.name}-"):
            self._run_deferred(path)
        for running in list(epoch.running.values()):
            running.flying.clear()
            running.slot = -1
            if epoch.broken is not None and not running.ending:
                self._fail_all(epoch, running, epoch.broken)
            else:
                running.abandon(Reason.NODE_LOST, how)
                self._proceed(epoch, running)

    def _run_deferred(self, path: str) -> None:
        """Run what attempts left to do whose slot was ended; an empty path when they left nothing."""
        if path:
            self._io.run(forgiving(lambda: deferred.run_left([path])))

    # Results

    def _results(self, epoch: Epoch, running: Running, message: Results) -> None:
        for item in message.items:
            if item.up:
                running.up((item.result, item.payload, Usage()))
            elif item.usage is None:
                self._items[running.number, item.index] = item
            elif item.index in running.tasks:
                finished = (item.result, item.payload, item.usage)
                if not item.log:
                    self._finish(epoch, running, item.index, finished, ok=item.ok)
                else:
                    self._settle_shared(epoch, running, item, finished)
        self._proceed(epoch, running)

    def _settle_shared(self, epoch: Epoch, running: Running, item: Item, finished: Finished) -> None:
        def settling() -> None:
            result = with_log(epoch.store, running.execution, decode_result(item.result), item.log, epoch.keeping)
            self._loop.call(lambda: settled((encode(result), finished[1], finished[2])))

        def settled(kept: Finished) -> None:
            running.settling -= 1
            self._finish(epoch, running, item.index, kept, ok=item.ok)
            self._dispatch(epoch, running)

        running.settling += 1
        running.flying.discard(item.index)  # its process may end before its log is kept
        self._store_io(epoch, running, settling)

    def _ended(self, epoch: Epoch, running: Running, ended: Ended) -> None:
        if not running.isolated:
            self._process_ended(epoch, running, ended)
            return
        index = ended.index
        item = self._items.pop((running.number, index), None) or told(ended)
        if ended.opened:
            running.opened.append(running.tasks[index].job)
        if running.ending and running.ending[0] is Reason.CANCELLED:
            running.flying.discard(index)
            self._discard(ended)
            self._dispatch(epoch, running)
            return
        if item is not None and not ended.log and not ended.trash and (item.ok or not ended.opened):
            self._finish(epoch, running, index, (item.result, item.payload, usage_of(ended)), ok=item.ok)
            self._dispatch(epoch, running)
            return
        self._settle(epoch, running, index, item, ended)

    def _settle(self, epoch: Epoch, running: Running, index: int, item: Item | None, ended: Ended) -> None:
        job = running.tasks[index].job
        kind = running.kinds[running.tasks[index].kind]

        def settling() -> None:
            finished = settle(epoch.store, running.execution, job, running.files(job), kind, ended, item, epoch.keeping)
            self._loop.call(lambda: settled(finished))

        def settled(finished: Finished) -> None:
            running.settling -= 1
            self._finish(epoch, running, index, finished, ok=item is not None and item.ok)
            self._dispatch(epoch, running)

        running.settling += 1
        running.flying.discard(index)
        self._store_io(epoch, running, settling, slow=bool(ended.trash))

    def _process_ended(self, epoch: Epoch, running: Running, ended: Ended) -> None:
        """The process that ran a batch has ended: by itself, or in the middle of one of its tasks."""
        left = sorted(running.flying & running.tasks.keys())
        running.flying.clear()
        if not running.ending and ended.status == 0:
            for index in left:
                running.drop(index)
        elif not running.ending and left:
            guilty = ended.index if ended.index in left else left[0]
            running.ready.extend(index for index in left if index != guilty)
            self._settle(epoch, running, guilty, None, ended)
            return
        self._discard(ended)
        self._dispatch(epoch, running)

    def _finish(self, epoch: Epoch, running: Running, index: int, finished: Finished, *, ok: bool) -> None:
        if not running.finished:
            running.since = monotonic()
        running.ended(index, finished, ok)

    def _fail_all(self, epoch: Epoch, running: Running, failure: Failure) -> None:
        running.ready.clear()
        for index in list(running.tasks):
            if index in running.tasks:
                self._finish(epoch, running, index, failed(running.tasks[index].job, failure, time()), ok=False)
        self._proceed(epoch, running)

    def _discard(self, ended: Ended) -> None:
        if ended.log or ended.trash:
            self._io.run(forgiving(partial(discard, ended)))

    # Commits

    def _proceed(self, epoch: Epoch, running: Running) -> None:
        """Make the commit that is due, or end the request."""
        if running.committing or running.id not in self._requests:
            return
        if running.over:
            self._release(epoch, running)
            if running.ending is None or (running.finished and running.ending[0] is Reason.NODE_LOST):
                self._commit(epoch, running, final=True)
            else:
                self._give_up(epoch, running, *running.ending)
        elif running.finished and not running.ending:
            left = running.since + epoch.group - monotonic()
            if left <= 0:
                self._commit(epoch, running, final=False)
            elif not running.timed:
                running.timed = True
                self._loop.later(left, lambda: self._due(epoch, running))

    def _due(self, epoch: Epoch, running: Running) -> None:
        running.timed = False
        self._proceed(epoch, running)

    def _release(self, epoch: Epoch, running: Running) -> None:
        epoch.running.pop(running.number, None)
        if running.slot >= 0:
            epoch.slots.append(running.slot)
            running.slot = -1

    def _commit(self, epoch: Epoch, running: Running, *, final: bool) -> None:
        number, running.finished, finished = running.commits, [], running.finished
        opened, running.opened = running.opened, []
        chained = "" if final else running.chained
        data = commits.encode(running.id, number, finished, final=final, chained=chained)
        running.committing = True

        def creating() -> None:
            won = commits.create_once(epoch.store, keys.commit(running.id, number), data)
            if not won:
                for job in opened:
                    sweep(epoch.store, running.files(job))
            if won and epoch.syncer is not None:
                epoch.syncer.after(lambda error: self._loop.call(lambda: committed(won, error)))
            else:
                self._loop.call(lambda: committed(won, None))

        def committed(won: bool, error: Exception | None) -> None:
            running.committing = False
            if error is not None:
                self._abandon(epoch, running, Reason.FAILED, words(error))
            elif not won:
                self._abandon(epoch, running, Reason.CANCELLED, "the leader had given this request up, or it ran elsewhere too")
            else:
                running.commits += 1
                self._tell(running, number, data, final=final)
                self._proceed(epoch, running)

        self._store_io(epoch, running, creating)

    def _tell(self, running: Running, number: int, data: bytes, *, final: bool) -> None:
        carried = data if len(data) <= self._carried else data[: commits.header_size(data, "")]
        state = State.ENDED if final else State.COMMITTED
        reason, message = running.ending if final and running.ending else (None, "")
        total = number + 1 if final else None
        if final:
            del self._requests[running.id]
        self._deliver(Update(running.id, state, reason, None, message, self._node, None, carried, number, total))

    # Ends before their time

    def _cancel(self, request: str) -> None:
        found = self._requests.get(request)
        if found is not None:
            self._abandon(*found, Reason.CANCELLED, "")

    def _abandon(self, epoch: Epoch, running: Running, reason: Reason, message: str) -> None:
        running.abandon(reason, message)
        if running.flying and epoch.server is not None:
            epoch.server.send(Kill(running.number))
            self._watch(epoch, epoch.server)
        if running in epoch.waiting:
            epoch.waiting.remove(running)
        self._proceed(epoch, running)

    def _give_up(self, epoch: Epoch, running: Running, reason: Reason, message: str) -> None:
        """Tell that the request has ended without the commit that it owed."""
        if running.id not in self._requests:
            return
        del self._requests[running.id]
        self._release(epoch, running)
        opened, running.opened = running.opened, []

        def sweeping() -> None:
            for job in opened:
                sweep(epoch.store, running.files(job))

        if opened:
            self._io.run(forgiving(sweeping))
        self._deliver(Update(running.id, State.ENDED, reason, None, message, self._node, commits=running.commits))

    # Input and output

    def _store_io(self, epoch: Epoch, running: Running, action: Callable[[], None], *, slow: bool = False, tries: int = 0) -> None:
        """Use the store: here when it is quick, else in another thread; again, later, when it fails in a way that may pass."""

        def acting() -> None:
            try:
                action()
            except Exception as error:  # noqa: BLE001 - reported to whoever waits for the request
                self._loop.call(partial(failing, error))

        def failing(error: Exception) -> None:
            if isinstance(error, Transient) and tries < TRIES and not self._closed:
                self._loop.later(pause(tries), lambda: self._store_io(epoch, running, action, slow=slow, tries=tries + 1))
                return
            running.committing = False
            running.settling = 0
            self._abandon(epoch, running, blame(error), words(error))

        if epoch.inline and not slow:
            acting()
        else:
            self._io.run(acting)

    def _failed(self, error: Exception) -> None:
        """Something here went wrong: end what is under way rather than leave it waiting for ever."""
        for epoch, running in list(self._requests.values()):
            running.committing = False
            running.settling = 0
            running.abandon(Reason.FAILED, f"the worker host failed: {type(error).__name__}: {error}")
            if running.flying and epoch.server is not None:
                epoch.server.send(Kill(running.number))
            else:
                self._give_up(epoch, running, *(running.ending or (Reason.FAILED, "")))

    def _shut(self) -> None:
        servers = [epoch.server for epoch in self._epochs.values() if epoch.server is not None]
        for server in servers:
            server.hang_up()
        for server in servers:
            server.bury()
        if not all(epoch.open for epoch in self._epochs.values()):
            procfs.end_all(str(self._run.path))  # what installs Python packages
        deferred.run_left(deferred.left(str(self._run.path)))
        self._io.close(5.0)
        for epoch in self._epochs.values():
            epoch.close(5.0)
