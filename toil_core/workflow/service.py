"""Services: what runs beside jobs, as long as they need it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypedDict, TypeVar, overload

from toil_core.errors import GraphError
from toil_core.wire.jobs import NewJob
from toil_core.workflow.job import AnyJob, FunctionJob, Job, JobFunction, R, function_name
from toil_core.workflow.promise import Promise
from toil_core.workflow.requirement import Accelerators, Cores, Duration, Size, Wanted, wanted

if TYPE_CHECKING:
    from typing import Protocol, Unpack

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")


class ServiceNeeds(TypedDict, total=False):
    """What a service can be told about itself; see `toil_core.workflow.requirement.wanted`."""

    cores: Cores | None
    memory: Size | None
    disk: Size | None
    preemptible: bool | None
    accelerators: Accelerators | None
    wall_time: Duration | None
    tries: int | None
    name: str | None


class Service(Job[R]):
    """Something that runs beside jobs: a server, a database, a queue.

    Derive from it and define `start`, and where needed `check` and `stop`; then `job.add_service(Server())`.
    All three are called in one process, which runs nothing else. It needs a machine as a job does, at the
    same time as its users. There is no time limit unless it asks for one.

    Args:
        needs: Cores, memory, disk, preemptible, accelerators, wall_time, tries and name, as for a job.

    Raises:
        BadOption: One of them cannot be used.
    """

    def __new__(cls, *args: object, **kwargs: object) -> Service[R]:
        self = super().__new__(cls)
        self._toil_wanted = _NOTHING
        return self

    def __init__(self, **needs: Unpack[ServiceNeeds]) -> None:
        self._toil_wanted = as_service(wanted(**needs))

    def start(self, job: Job[Any]) -> R:
        """Start serving, and return what users must know: an address, a password.

        Args:
            job: The running service, with `files`, `tmp`, `log` and so on; no jobs can be added to it.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no start()")

    def check(self) -> bool:
        """Whether it still serves; asked every `--service-check-interval`. If not, it is started anew."""
        return True

    def stop(self) -> None:
        """End serving: nobody needs it any more. After `--service-grace` it is killed."""

    def run(self) -> R:
        """A service is not run.

        Raises:
            GraphError: Always.
        """
        raise GraphError(f"'{self.name}' is a service; add it to a job with add_service")

    def add_child(self, node: AnyJob) -> AnyJob:
        """A service has no children.

        Raises:
            GraphError: Always.
        """
        raise GraphError(f"'{self.name}' is a service, and nothing can be added to it but services that start after it")

    add_follow_on = add_child


class FunctionService(Service[R], FunctionJob[R]):
    """A service that is a function. Made by calling a `ServiceFunction`."""


class ServiceFunction(JobFunction[P, R]):
    """A generator function whose calls are services. Made by `service`."""

    def __init__(self, function: Callable[P, Any], needs: Wanted) -> None:
        super().__init__(function, as_service(needs))

    @overload
    def __call__(self: ServiceFunction[Concatenate[Job[Any], Q], S], /, *args: Q.args, **kwargs: Q.kwargs) -> Service[S]: ...
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Service[R]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Service[Any]:
        """Make a service that calls the function with these arguments."""
        return self._make(FunctionService, args, kwargs)

    def _check(self, function: Callable[..., Any]) -> None:
        if not inspect.isgeneratorfunction(function):
            raise GraphError(
                f"service '{function_name(function)}' is no generator function: it has to yield, once, what its users must know, "
                f"and to clean up after that"
            )


if TYPE_CHECKING:

    class Decorator(Protocol):
        """Turns a generator function into a `ServiceFunction`."""

        def __call__(self, function: Callable[P, Iterator[R]], /) -> ServiceFunction[P, R]: ...


@overload
def service(function: Callable[P, Iterator[R]], /, **needs: Unpack[ServiceNeeds]) -> ServiceFunction[P, R]: ...
@overload
def service(**needs: Unpack[ServiceNeeds]) -> Decorator: ...
def service(function: Callable[..., Any] | None = None, /, **needs: Unpack[ServiceNeeds]) -> Any:
    """Make calls of a generator function into services: `@service`, or `@service(cores=0.5)`.

    The function starts serving, yields what its users must know, and goes on when nobody needs it any more,
    or when it has failed: what stands in a `with` block around the `yield`, or in `finally` after it, cleans up.

    Args:
        function: Yields once. If its first parameter is named `job`, the running service is given there.
        needs: Cores, memory, disk, preemptible, accelerators, wall_time, tries and name, as for a job.

    Raises:
        BadOption: One of the needs cannot be used.
        GraphError: It is no generator function.
    """
    if isinstance(function, ServiceFunction):
        return function.requiring(**needs)
    wants = wanted(**needs)
    if function is None:
        return lambda inner: ServiceFunction(inner, wants)
    return ServiceFunction(function, wants)


def as_service(needs: Wanted) -> Wanted:
    """The same needs, of a service.

    Raises:
        GraphError: One of them is promised.
    """
    if needs.promised:
        raise GraphError("what a service needs cannot be promised: it is known before any job runs")
    return replace(needs, service=True)


_NOTHING = Wanted(service=True)


def add(owner: Job[Any], node: Any, parent: object) -> Any:
    """Link a service with the job that it belongs to; see `Job.add_service`."""
    from toil_core.workflow import job as jobs

    if not isinstance(node, Service):
        raise GraphError(f"{owner!r}.add_service: {node!r} is no service")
    above: Job[Any] = owner
    if parent is not None:
        wanted = parent.job if isinstance(parent, Promise) else parent
        found = next((each for each in _all_of(owner) if each is wanted), None)
        if found is None:
            raise GraphError(f"{owner!r}.add_service: {parent!r} is no service of {owner!r}, so '{node.name}' cannot start after it")
        above = found
    if node._toil_before:
        raise GraphError(f"{owner!r}.add_service: '{node.name}' was added already; make a new one")
    if above._toil_services is None:
        above._toil_services = []
    above._toil_services.append(node)
    node._toil_before.append(above)
    if jobs.current is not None and owner._toil_running is None:
        jobs.current.touched.append(owner)
    return node.rv()


def _all_of(owner: Job[Any]) -> list[Service[Any]]:
    found = list(owner._toil_services or ())
    for each in found:  # grows while it is walked
        found += each._toil_services or ()
    return found


def check_users(nodes: Sequence[Job[Any]], jobs: Sequence[NewJob]) -> None:
    """Check that what services give is given only to those beside whom they run.

    Args:
        nodes: The jobs as the user made them.
        jobs: The same as records.

    Raises:
        GraphError: Some other job is given it; says which.
    """
    owners = _owners(jobs)
    if not owners:
        return
    names = {job.id: node.name for node, job in zip(nodes, jobs, strict=True)}
    above: dict[str, list[str]] = {}
    for job in jobs:
        for below in (*job.children, *job.follow_ons, *job.services):
            above.setdefault(below, []).append(job.id)
    for job in jobs:
        for need in job.needs:
            owner = owners.get(need)
            if owner is None:
                continue
            before = _before(job.id, above)
            beside = need in before if owners.get(job.id) == owner else owner in before
            if not beside:
                raise GraphError(
                    f"'{names[job.id]}' is given what the service '{names[need]}' of job '{names[owner]}' returns, but does not run beside it: "
                    + (f"add it with parent='{names[need]}'" if owners.get(job.id) == owner else f"it has to be below '{names[owner]}'")
                )


def _owners(jobs: Sequence[NewJob]) -> dict[str, str]:
    """For each service the job that it belongs to."""
    records: Mapping[str, NewJob] = {job.id: job for job in jobs if job.services}
    services = {id for job in jobs for id in job.services}
    found: dict[str, str] = {}
    for job in records.values():
        stack = list(job.services) if job.id not in services else []
        for id in stack:  # grows while it is walked
            found[id] = job.id
            stack += records[id].services if id in records else ()
    return found


def _before(id: str, above: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    stack = [id]
    while stack:
        for upper in above.get(stack.pop(), ()):
            if upper not in found:
                found.add(upper)
                stack.append(upper)
    return found

