"""Running a service: in one process from its start to its end, told of which is done by SIGTERM."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any, Protocol

from toil_core.batch_system import Reason
from toil_core.errors import GraphError, UsageError
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.wire.jobs import Failure, Kind, Result
from toil_core.wire.work import Task
from toil_core.worker.failure import failure_of
from toil_core.worker.runner import Place
from toil_core.workflow import job as jobs
from toil_core.workflow.body import RunningJob, unpack
from toil_core.workflow.job import Job
from toil_core.workflow.pickling import Writer
from toil_core.workflow.running import Running
from toil_core.workflow.service import Service


def serve(task: Task, kind: Kind, values: Mapping[str, bytes], place: Place) -> tuple[Result, bytes]:
    """Run one service in this process until it is asked to end; see `toil_core.worker.runner`.

    That it is up is told through `place.up`; what this returns tells how it ended.

    Raises:
        KeyboardInterrupt: As it came.
    """
    running = Running(task, kind, place)
    asked = Asked()
    try:
        served = _unpack(task, kind, values, running)
        jobs.current = running
        with asked.while_starting():
            value = served.start()
        assert place.up is not None
        place.up(*_up(running, kind, value))
        running.messages.clear()
        failure = _watch(served, asked, place)
        try:
            served.stop()
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises
            failure = failure or failure_of(error)
    except StopAsked:
        failure = Failure(Reason.CANCELLED, "asked to stop before it was up")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is the service's failure
        failure = failure_of(error)
    finally:
        jobs.current = None
    return Result(task.job, deleted=running.deleted if failure is None else (), messages=tuple(running.messages), failure=failure), b""


class StopAsked(BaseException):
    """The service is to end although it is not up yet."""


class Asked:
    """Notes SIGTERM, and wakes who waits for it."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._writing = writing
        self._starting = False
        self.stop = False
        self._listen()

    def while_starting(self) -> _Starting:
        """A block that is left at once, by `StopAsked`, when the signal comes."""
        return _Starting(self)

    def begin(self) -> None:
        """From here on the signal raises."""
        if self.stop:
            raise StopAsked
        self._starting = True

    def end(self) -> None:
        """From here on the signal is only noted; also when the user's code has set a handler of its own."""
        self._starting = False
        self._listen()

    def wait(self, seconds: float | None) -> bool:
        """Return when the signal came (True), or the seconds are over."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        deadline = None if seconds is None else monotonic() + seconds
        while not self.stop:
            left = None if deadline is None else (deadline - monotonic()) * 1000
            if left is not None and left <= 0:
                return False
            if poll.poll(left):
                os.read(self._reading, 512)
        return True

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.stop = True
        if self._starting:
            self._starting = False
            raise StopAsked


class _Starting:
    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def __enter__(self) -> None:
        self._asked.begin()

    def __exit__(self, *error: object) -> None:
        self._asked.end()


class _Served(Protocol):
    """A service, whether it is a class or a function."""

    check: Callable[[], bool] | None
    """None when there is nothing to ask."""

    def start(self) -> Any: ...

    def stop(self) -> None: ...


class _Object:
    def __init__(self, service: Service[Any], job: Job[Any]) -> None:
        self._service = service
        self._job = job
        self.check: Callable[[], bool] | None = None if type(service).check is Service.check else service.check

    def start(self) -> Any:
        value = self._service.start(self._job)
        _check_alone(self._service, self._job)
        return value

    def stop(self) -> None:
        self._service.stop()


class _Function:
    check: Callable[[], bool] | None = None

    def __init__(self, call: Callable[[], Iterator[Any]], job: Job[Any] | None, name: str) -> None:
        self._call = call
        self._job = job
        self._name = name

    def start(self) -> Any:
        self._serving = self._call()
        try:
            value = next(self._serving)
        except StopIteration:
            raise UsageError(f"service '{self._name}' ended without a yield; it has to yield what its users must know") from None
        _check_alone(self._job)
        return value

    def stop(self) -> None:
        for _ in self._serving:
            raise UsageError(f"service '{self._name}' yields more than once")


def _unpack(task: Task, kind: Kind, values: Mapping[str, bytes], running: Running) -> _Served:
    assert isinstance(task.body, bytes)
    try:
        node, function, args, kwargs = unpack(task.body, values, running)
    except (UsageError, LookupError) as error:
        raise UsageError(f"service '{kind.name}': {error}") from error
    if isinstance(node, Service):
        job = RunningJob.__new__(RunningJob)
        job._toil_running = running
        return _Object(node, job)
    return _Function(partial(function, *args, **kwargs), node, kind.name)


def _check_alone(*nodes: Job[Any] | None) -> None:
    for node in nodes:
        if node is not None and (node._toil_children or node._toil_follow_ons or node._toil_services):
            raise GraphError("a service can add no jobs and no services")


def _up(running: Running, kind: Kind, value: Any) -> tuple[Result, bytes]:
    from toil_core.worker.attempt import add_value

    job = running.task.job
    writer = Writer({})
    span, crc, needs = add_value(writer, value, job, kind.name)
    return Result(job, span, crc, needs, messages=tuple(running.messages)), writer.payload()


def _watch(served: _Served, asked: Asked, place: Place) -> Failure | None:
    """Wait until the service is asked to stop, or has failed: then why."""
    check = served.check
    interval = None if check is None else Config.from_dict(place.setup.options)[EngineOptions].service_check_interval
    while not asked.wait(interval):
        try:
            if check is not None and not check():
                return Failure(Reason.FAILED, "check() found that it does not serve any more")
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises
            return failure_of(error)
    return None
