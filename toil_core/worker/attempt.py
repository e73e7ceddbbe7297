"""The production runner: one attempt at a job of the workflow API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pickle import dumps
from typing import Any
from zlib import crc32

from toil_core.errors import GraphError, UsageError
from toil_core.wire.jobs import Kind, NewJob, Result
from toil_core.wire.work import Setup, Task
from toil_core.worker.around import Around, around_of
from toil_core.worker.runner import Place
from toil_core.workflow import job as jobs
from toil_core.workflow.body import know_functions, unpack
from toil_core.workflow.flatten import flatten_added
from toil_core.workflow.job import Job
from toil_core.workflow.order import check_order
from toil_core.workflow.pickling import PROTOCOL, UnknownJob, Writer
from toil_core.workflow.policy import Policy
from toil_core.workflow.running import Running

REHEARSAL = dumps(("toil_core.worker.rehearsal:nothing", (), {}))
"""The body of a job that does nothing; see `toil_core.worker.rehearsal`."""
REHEARSED = "0-0"
"""The request of that job."""
_PLAIN = frozenset({bool, int, float, str, bytes})
"""Types of values that hold nothing else, so that no promise can be in them."""
_NONE = dumps(None, PROTOCOL)
_NONE_SPAN, _NONE_CRC = (0, len(_NONE)), crc32(_NONE)


_plain = False
"""Whether this process was prepared for a setup that wants nothing around its jobs."""


def prepare(setup: Setup) -> None:
    """Find once what every attempt would find anew."""
    global _plain
    _plain = around_of(setup) is None
    know_functions()


def run(
    task: Task, kind: Kind, values: Mapping[str, bytes], place: Place, *, through: Callable[[Callable[[], Any]], Any] | None = None
) -> tuple[Result, bytes]:
    """Run one job in this process; see `toil_core.worker.runner`.

    What the user's code raises becomes a failed result, with the traceback on standard error.

    Args:
        task: The task.
        kind: The job's kind.
        values: The encoded values, by producer.
        place: Where it runs.
        through: Calls the job's function; for debuggers.

    Raises:
        KeyboardInterrupt: As it came.
    """
    if kind.service:
        from toil_core.worker.service import serve

        return serve(task, kind, values, place)
    running = Running(task, kind, place)
    try:
        try:
            node, function, args, kwargs = unpack(task.body, values, running)  # type: ignore[arg-type]
        except (UsageError, LookupError) as error:
            raise UsageError(f"job '{kind.name}': {error}") from error
        jobs.current = running
        try:
            around = None if _plain else around_of(place.setup)
            if around is None and through is None:
                value = function(*args, **kwargs)
            else:
                value = _call(partial(function, *args, **kwargs), running, around, through)
        finally:
            jobs.current = None
        return _gather(running, node, value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is the job's failure
        from toil_core.worker.failure import failure_of

        return Result(task.job, messages=tuple(running.messages), failure=failure_of(error)), b""


def _call(call: Callable[[], Any], running: Running, around: Around | None, through: Callable[[Callable[[], Any]], Any] | None) -> Any:
    function = call if through is None else partial(through, call)
    if around is None or running.place.request == REHEARSED:
        return function()
    return around.call(running, function)


def _gather(running: Running, node: Job[Any] | None, value: Any) -> tuple[Result, bytes]:
    job, name = running.task.job, running.kind.name
    if node is None or not (node._toil_children or node._toil_follow_ons or node._toil_services):
        if (value is None or type(value) in _PLAIN) and running.held is None and not (running.touched or running.messages):  # most tiny jobs
            if value is None:
                return Result(job, _NONE_SPAN, _NONE_CRC), _NONE
            payload = dumps(value, PROTOCOL)
            return Result(job, (0, len(payload)), crc32(payload)), payload
        if running.touched:
            _check_touched(running, {})
        writer = Writer({} if node is None else {id(node): job})
        span, crc, needs = add_value(writer, value, job, name)
        result = Result(job, span, crc, needs, deleted=running.deleted, messages=tuple(running.messages), temporary=running.temporary)
        return result, writer.payload()
    return _gather_added(running, node, value)


def _gather_added(running: Running, node: Job[Any], value: Any) -> tuple[Result, bytes]:
    job, place = running.task.job, running.place
    prefix = f"{place.request}.{place.index}"
    added = flatten_added(node, job, prefix, f"job {job} in request {place.request}", _policy_of(place.setup))
    flat = added.flat
    _check_touched(running, flat.ids)
    span, crc, needs = add_value(added.writer, value, job, running.kind.name)
    itself = NewJob(job, 0, (0, 0), 0, (), flat.children, flat.follow_ons, flat.services)
    check_order([node, *added.nodes], [itself, *flat.jobs], needs)
    result = Result(
        job,
        span,
        crc,
        needs,
        flat.kinds,
        flat.jobs,
        flat.children,
        flat.follow_ons,
        running.deleted,
        tuple(running.messages),
        services=flat.services,
        temporary=running.temporary,
    )
    return result, added.writer.payload()


def add_value(writer: Writer, value: Any, job: str, name: str) -> tuple[tuple[int, int], int, tuple[str, ...]]:
    """Pickle what a job returned; see `Writer.add`.

    Raises:
        GraphError: It holds a promise that nothing keeps.
        NotPicklable: It cannot be sent.
    """
    try:
        span, crc, needs = writer.add(value, lambda: [(f"the return value of job '{name}'", value)])
    except UnknownJob as unknown:
        raise GraphError(
            f"the return value of job '{name}' holds a promise of job '{unknown.job.name}', which was never added to the graph: "
            f"add it with add_child or add_follow_on"
        ) from None
    if job in needs:
        raise GraphError(f"the return value of job '{name}' holds a promise of itself")
    return span, crc, needs


def _check_touched(running: Running, ids: Mapping[int, str]) -> None:
    for node in running.touched:
        if id(node) not in ids:
            after = (*node._toil_children, *node._toil_follow_ons)[-1]
            raise GraphError(
                f"job '{running.kind.name}' added job '{after.name}' to job '{node.name}', which is not below it: "
                f"a running job adds to itself, or to jobs that it made and added"
            )


_policy: tuple[Setup, Policy] | None = None


def _policy_of(setup: Setup) -> Policy:
    global _policy
    if _policy is None or _policy[0] is not setup:
        from toil_core.options import Config

        _policy = setup, Policy.of(Config.from_dict(setup.options), setup.estimates)
    return _policy[1]

