"""One leader's life: claim the epoch, load the graph, run it to its end, leave it restartable."""

from __future__ import annotations

import logging
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from io import BytesIO

import msgspec

import toil_core
from toil_core import plugins
from toil_core.batch_system import BatchSystem, HasCapacity, HasMisfits, HasSlots, Reason
from toil_core.errors import Interrupted, JobStoreExists, NoSuchJobStore, StoreError, ToilError, WorkflowFailed
from toil_core.events import RunEnded, RunStarted
from toil_core.job_store import HasPace, HasWorkerLocator, JobStore, tidy
from toil_core.leader import checkpoints as folding
from toil_core.leader import learned
from toil_core.leader.checkpoints import Checkpoints
from toil_core.leader.collector import rare
from toil_core.leader.epoch import claim
from toil_core.leader.failures import explain
from toil_core.leader.graph import Graph
from toil_core.leader.issue import Sizing
from toil_core.leader.learned import Learner
from toil_core.leader.local import LocalJobs
from toil_core.leader.loop import Loop
from toil_core.leader.moves import Finish
from toil_core.leader.options import EngineOptions
from toil_core.leader.retries import Policy
from toil_core.leader.services import Limits
from toil_core.leader.surroundings import REAL, Surroundings
from toil_core.leader.tell import Listener, Teller
from toil_core.leader.watch import Watch
from toil_core.leader.watch_options import WatchOptions
from toil_core.locators import quoted
from toil_core.options import Config
from toil_core.secrets import refuse_secret
from toil_core.sizes import count
from toil_core.wire import commits, keys, run, work
from toil_core.wire.jobs import Ref
from toil_core.wire.reread import reread
from toil_core.wire.work import Setup

_log = logging.getLogger("toil.leader")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a workflow came to.

    Args:
        value: The root job's return value, as its worker encoded it.
        values: The values that it holds promises of, in turn, by producer.
        jobs: How many jobs the workflow had; all are done.
    """

    value: bytes = field(repr=False)
    values: dict[str, bytes] = field(repr=False)
    jobs: int = 0


def begin(
    store: JobStore,
    locator: str,
    initial: bytes,
    config: Config,
    name: str = "workflow",
    modules: tuple[str, ...] = (),
    *,
    around: Surroundings = REAL,
) -> None:
    """Put a new workflow into a prepared store.

    Args:
        store: The job store.
        locator: What the user calls it.
        initial: The commit of request `0`, which holds the user's graph.
        config: The run's options.
        name: What people call the workflow.
        modules: The modules, besides the main one, that define its jobs.
        around: The world around the leader.

    Raises:
        JobStoreExists: The store holds a workflow already.
    """
    info = run.WorkflowInfo(
        around.random_bytes(16).hex(), name, around.now(), toil_core.__version__, platform.python_version(), config.as_dict(), modules
    )
    record = run.encode(info)
    first = commits.create_once(store, keys.WORKFLOW, record)
    if not commits.create_once(store, keys.commit(keys.ROOT, 0), initial):
        raise JobStoreExists(
            f"{locator} holds a workflow already; add --restart to go on with it, or remove it with `toil clean {quoted(locator)}`"
        )
    if not first:  # it was left by a beginning that was cut short
        store.write(keys.WORKFLOW, BytesIO(record))


def lead(
    store: JobStore,
    locator: str,
    setup: Setup,
    config: Config,
    *,
    restart: bool = False,
    listeners: Sequence[Listener] = (),
    deploy: Callable[[JobStore, Setup], Setup] | None = None,
    batch_system: BatchSystem | None = None,
    around: Surroundings = REAL,
) -> Outcome:
    """Run the workflow that the store holds to its end.

    SIGINT and SIGTERM stop it in good order: what runs is ended, the store can be restarted.

    Args:
        store: The job store.
        locator: What the user calls it.
        setup: What workers must know.
        config: The run's options.
        restart: Whether an earlier leader has worked on it.
        listeners: Called with every event, beside the plugins' `toil_event` hooks.
        deploy: Puts the user's code into the store for workers elsewhere, and tells them of it in the setup.
        batch_system: What runs the jobs, and is closed at the end; what the options name if not given.
        around: The world around the leader.

    Raises:
        WorkflowFailed: Jobs failed for good.
        Interrupted: It was asked to stop.
        LeaderRunning: Another leader is at work.
        LeaderReplaced: Another leader took over.
    """
    options = config[EngineOptions]
    stopping = threading.Event()
    patient = around.patient(store, stopping)
    ended = folding.ended(patient)
    epoch = claim(patient, locator, ended=ended, take_over=options.take_over, this_leader=around.this_leader, alive=around.alive)
    restart = restart or epoch > 1  # another may have led since this one began the workflow
    if restart:
        folding.bury(patient, epoch)
    with rare(), _explained(patient, epoch, locator), batch_system or plugins.open_batch_system(options.batch_system, config) as batch:
        apart = not (batch.here or options.run_local_jobs_on_workers)
        sizing = _sizing(store, batch, apart=apart)
        graph = around.graph(epoch, _policy(options, batch), sizing, chain=not options.disable_chaining, limits=_limits(options, batch))
        checkpoints = Checkpoints(patient, epoch, around.fold_after)
        _load(patient, graph, checkpoints, epoch, restart=restart, readers=around.readers)
        if not graph.finished:
            if deploy is not None and not batch.here:
                setup = deploy(patient, setup)
            learner = Learner(learned.read(patient), patient)
            teller = Teller([learner, *listeners, *_hooked()], around.now)
            info = _info(patient)
            known = {name: (tally.total, tally.ran) for name, tally in graph.tallies.items()}
            teller.tell(RunStarted(around.now(), info.id, locator, epoch, restart, graph.total, graph.ran, known))
            key = keys.setup(epoch)
            setup = msgspec.structs.replace(
                setup, workflow=info.id, environment={**_environment(config), **setup.environment}, job_hooks=_job_hooks()
            )
            patient.write(key, BytesIO(work.encode(setup)))
            worker_locator = store.worker_locator() if isinstance(store, HasWorkerLocator) else locator
            watch = _watch(store, epoch, config, batch, around)
            with LocalJobs(config) if apart else nullcontext() as local:
                loop = Loop(graph, patient, worker_locator, key, batch, checkpoints, teller, watch, local, options.service_grace, around)
                with _signals(loop.stop, stopping) as received:
                    finish = loop.run()
                batch.close()
            tidy(store)
            checkpoints.write(graph, ended=True)
            learner.save(options.save_profile)
            watch.write(graph, around.now(), finish.outcome)
            teller.tell(RunEnded(around.now(), finish.outcome, graph.ran, len(graph.failed), graph.total))
            _judge(finish, graph, locator, [*received, *([signal.SIGTERM] if watch.killed else [])])
        return _outcome(patient, graph)


@contextmanager
def _explained(store: JobStore, epoch: int, locator: str) -> Iterator[None]:
    """What a leader does not find may be gone because another has taken over, or with the whole job store: then that is what is told."""
    try:
        try:
            yield
        except StoreError:
            Checkpoints(store, epoch).check_leader()
            raise
    except NoSuchJobStore as error:
        raise ToilError(
            f"the job store {locator} is gone: it was removed or moved while the workflow ran; bring it back and go on with --restart, or begin anew"
        ) from error


def _load(store: JobStore, graph: Graph, checkpoints: Checkpoints, epoch: int, *, restart: bool, readers: int) -> None:
    if not restart:
        folding.load_initial(store, graph)
        return
    for trouble in folding.start_again(store, graph, checkpoints, epoch, readers).corrupt:
        _log.warning("%s", trouble)


def _judge(finish: Finish, graph: Graph, locator: str, received: Sequence[int]) -> None:
    if finish.outcome == "interrupted":
        number = received[0] if received else signal.SIGINT
        raise Interrupted(f"stopped; {graph.ran:,} of {count(graph.total, 'job')} done; go on with --restart on {locator}", 128 + number)
    if finish.outcome == "failed":
        code = next((f.exit_code for id in graph.failed if (f := graph.failures.get(id)) and (f.exit_code or 0) > 0), None)
        raise WorkflowFailed(explain(finish, graph, locator), tuple(graph.failed), code or 1)


def _outcome(store: JobStore, graph: Graph) -> Outcome:
    value, values = graph.outcome()
    return Outcome(_bytes(store, value), {id: _bytes(store, held) for id, held in values}, graph.total)


def _bytes(store: JobStore, held: bytes | Ref) -> bytes:
    return commits.fetch(store, held) if isinstance(held, Ref) else held


def _info(store: JobStore) -> run.WorkflowInfo:
    def read() -> run.WorkflowInfo:
        with store.read(keys.WORKFLOW) as stream:
            return run.decode_workflow(stream.read())

    return reread(read)


def _policy(options: EngineOptions, batch: BatchSystem) -> Policy:
    return Policy(
        tries=options.retry_count + 1,
        backoff=options.retry_backoff_seconds,
        backoff_factor=options.retry_backoff_factor,
        losses=options.max_node_losses,
        memory_factor=options.out_of_memory_factor,
        max_memory=_least(options.max_memory, batch.capacity().memory if isinstance(batch, HasCapacity) else None),
        time_factor=options.over_time_factor,
        max_wall_time=options.max_wall_time,
        by_reason={Reason(reason): int(count) + 1 for reason, _, count in (text.partition("=") for text in options.retry_count_for)},
        stop_on_failure=options.stop_on_first_failure,
    )


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _sizing(store: JobStore, batch: BatchSystem, *, apart: bool) -> Sizing:
    sizing = Sizing(slots=batch.slots() if isinstance(batch, HasSlots) else None, backlog=batch.backlog, apart=apart)
    return replace(sizing, target=store.pace()) if isinstance(store, HasPace) else sizing


def _limits(options: EngineOptions, batch: BatchSystem) -> Limits:
    room = None
    if isinstance(batch, HasCapacity):
        largest, cores = batch.capacity(), batch.slots()
        machines = max(1, round(cores / largest.cores)) if largest.cores else 1
        room = replace(largest, cores=cores, memory=largest.memory * machines, disk=largest.disk * machines)
    return Limits(options.max_service_jobs, options.max_preemptible_service_jobs, options.deadlock_wait, room)


def _watch(store: JobStore, epoch: int, config: Config, batch: BatchSystem, around: Surroundings) -> Watch:
    capacity = batch.capacity() if isinstance(batch, HasCapacity) else None
    slots = batch.slots() if isinstance(batch, HasSlots) else None
    misfits = batch.misfits if isinstance(batch, HasMisfits) else dict
    return Watch(store, epoch, config[WatchOptions], capacity, slots, misfits, lease=batch.needs_lease, now=around.now)


def _environment(config: Config) -> dict[str, str]:
    merged: dict[str, str] = {}
    for variables in plugins.hooks().hook.toil_job_environment(config=config):
        for name in variables:
            refuse_secret(name)
        merged.update(variables)
    return merged


def _job_hooks() -> bool:
    hook = plugins.hooks().hook
    return bool(hook.toil_before_job.get_hookimpls() or hook.toil_after_job.get_hookimpls())


def _hooked() -> list[Listener]:
    hook = plugins.hooks().hook.toil_event
    return [lambda event: hook(event=event)] if hook.get_hookimpls() else []


@contextmanager
def _signals(stop: Callable[[], None], stopping: threading.Event) -> Iterator[Sequence[int]]:
    """SIGINT and SIGTERM ask for a stop; a second SIGINT ends at once. Gives the signals as they come."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def asked(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        received.append(number)
        stopping.set()
        stop()

    former = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
