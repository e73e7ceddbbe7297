"""Jobs: the classes that scripts derive from, and the functions that they wrap."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import toil_core
from toil_core.errors import GraphError

from toil import _graph
from toil import service as services
from toil._graph import Promise, PromisedRequirement
from toil._requirements import RESERVED, Derived, Requirer
from toil.exceptions import (
    ConflictingPredecessorError,
    JobException,
    JobGraphDeadlockException,
    JobPromiseConstraintError,
)
from toil.fileStores.abstractFileStore import INFO, AbstractFileStore

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

__all__ = [
    "ConflictingPredecessorError", "EncapsulatedJob", "FunctionWrappingJob", "Job", "JobException", "JobFunctionWrappingJob",
    "JobGraphDeadlockException", "JobPromiseConstraintError", "Promise", "Promised", "PromisedRequirement",
    "PromisedRequirementFunctionWrappingJob", "PromisedRequirementJobFunctionWrappingJob", "ServiceHostJob", "unwrap", "unwrap_all",
]  # fmt: skip

AnyJob = TypeVar("AnyJob", bound="Job")
T = TypeVar("T")
Promised: TypeAlias = Promise | T


class Job(Requirer):
    """A node of the graph. Derive from it and define `run(self, fileStore)`.

    Args:
        memory: Bytes, or text such as `2G`; or a promise of it, as the others that are amounts.
        cores: A number; fractions are allowed.
        disk: Bytes, or text.
        accelerators: A count of GPUs, text such as `nvidia:1`, a dict, or a list of these.
        preemptible: Whether a machine that may be taken away will do.
        preemptable: The same.
        walltime: Seconds after which an attempt is ended; 0 for no limit.
        unitName: What people call the job; the name of its class if not given.
        checkpoint: Whether it runs again when something below it fails for good.
        displayName: What people call the job, if `unitName` does not say.
        descriptionClass: Not used.
        local: Whether it runs beside the leader.
        files: Not used.
    """

    def __init__(
        self, memory: Any = None, cores: Any = None, disk: Any = None, accelerators: Any = None, preemptible: Any = None,
        preemptable: Any = None, walltime: Any = None, unitName: str | None = "", checkpoint: bool | None = False,
        displayName: str | None = "", descriptionClass: Any = None, local: bool | None = None, files: Any = None,
    ) -> None:  # fmt: skip
        needs = {"memory": memory, "cores": cores, "disk": disk, "accelerators": accelerators, "walltime": walltime, "local": local}
        needs |= {"preemptible": preemptible, "preemptable": preemptable, "checkpoint": checkpoint or None}
        self._toil_require(needs, unitName, displayName)

    # What it does

    def run(self, fileStore: AbstractFileStore) -> Any:
        """What the job does; its return value is what its promises stand for.

        Args:
            fileStore: The files of the workflow, and the job's own folder.
        """

    @Derived
    def fileStore(self) -> AbstractFileStore:
        """The files of the workflow, while the job runs."""
        if self._toil_links.file_store is None:
            raise AttributeError(f"{self} is not running, so it has no fileStore")
        return self._toil_links.file_store

    @Derived
    def tempDir(self) -> str:
        """A folder of the running job; the same each time."""
        return self.fileStore.tempDir

    @Derived
    def jobStoreID(self) -> str:
        """The id of the running job."""
        return self._toil_running("jobStoreID").id

    def log(self, text: str, level: int = INFO) -> None:
        """Tell the user something."""
        self.fileStore.logToMaster(text, level)

    def defer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Have a function called when this attempt has ended, however that comes about."""
        self._toil_running("defer").defer(function, *args, **kwargs)

    # What comes after it

    def addChild(self, childJob: AnyJob) -> AnyJob:
        """Make a job run after this one, and give it back."""
        self._toil_add(childJob, self._toil_links.children)
        return childJob

    def addFollowOn(self, followOnJob: AnyJob) -> AnyJob:
        """Make a job run after this one and all below its children, and give it back."""
        self._toil_add(followOnJob, self._toil_links.follow_ons)
        return followOnJob

    def addService(self, service: services.Service, parentService: services.Service | None = None) -> Promise:
        """Have a service run beside all below this job, once the parent service is up; the promise of what it returns."""
        links = self._toil_links
        if not isinstance(service, services.Service):
            raise JobException(f"{service!r} is no Job.Service")
        if self.hasService(service):
            raise JobException(f"the service {service} was added to {self} already")
        if parentService is not None and not self.hasService(parentService):
            raise JobException(f"{parentService} is no service of {self}, so {service} cannot start after it")
        links.services.append((service, parentService))
        return Promise(service)

    def addChildFn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """`addChild(Job.wrapFn(…))`."""
        return self.addChild(self.wrapFn(fn, *args, **kwargs))

    def addFollowOnFn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """`addFollowOn(Job.wrapFn(…))`."""
        return self.addFollowOn(self.wrapFn(fn, *args, **kwargs))

    def addChildJobFn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """`addChild(Job.wrapJobFn(…))`."""
        return self.addChild(self.wrapJobFn(fn, *args, **kwargs))

    def addFollowOnJobFn(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """`addFollowOn(Job.wrapJobFn(…))`."""
        return self.addFollowOn(self.wrapJobFn(fn, *args, **kwargs))

    def hasChild(self, childJob: Job) -> bool:
        """Whether the job was added as a child."""
        return any(each is childJob for each in self._toil_links.children)

    def hasFollowOn(self, followOnJob: Job) -> bool:
        """Whether the job was added as a follow-on."""
        return any(each is followOnJob for each in self._toil_links.follow_ons)

    def hasPredecessor(self, job: Job) -> bool:
        """Whether this job was added to the other."""
        return any(each is job for each in self._toil_links.before)

    def hasService(self, service: services.Service) -> bool:
        """Whether the service was added."""
        return any(each is service for each, _ in self._toil_links.services)

    @staticmethod
    def wrapFn(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """A job that calls a function; see `FunctionWrappingJob`."""
        return _wrapping(FunctionWrappingJob, PromisedRequirementFunctionWrappingJob, fn, args, kwargs)

    @staticmethod
    def wrapJobFn(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """A job that calls a function with itself as the first argument; see `FunctionWrappingJob`."""
        return _wrapping(JobFunctionWrappingJob, PromisedRequirementJobFunctionWrappingJob, fn, args, kwargs)

    def encapsulate(self, name: str | None = None) -> EncapsulatedJob:
        """A job that stands for this one and all below it: what is added to it comes after all of that."""
        return EncapsulatedJob(self, unitName=name)

    def rv(self, *path: Any) -> Any:
        """The promise of what the job returns, or of a part of it: `rv(0, "key")`."""
        return Promise(self, path)

    # What can be asked of its graph

    def getRootJobs(self) -> set[Job]:
        """The jobs of the graph that come after no other."""
        return _graph.roots(self)

    def checkJobGraphConnected(self) -> None:
        """Raise `JobGraphDeadlockException` if the graph has not one root."""
        _graph.check_one_root(self)

    def checkJobGraphAcylic(self) -> None:
        """Raise `JobGraphDeadlockException` if jobs wait for one another."""
        _graph.ordered(self)

    checkJobGraphAcyclic = checkJobGraphAcylic

    def checkNewCheckpointsAreLeafVertices(self) -> None:
        """Raise `JobGraphDeadlockException` if a checkpoint job has successors before it runs."""
        _graph.check_checkpoints(self)

    def checkJobGraphForDeadlocks(self) -> None:
        """Raise `JobGraphDeadlockException` if the graph cannot run to its end."""
        self.checkJobGraphConnected()
        self.checkJobGraphAcylic()
        self.checkNewCheckpointsAreLeafVertices()

    def getTopologicalOrderingOfJobs(self) -> list[Job]:
        """The jobs of the graph in an order in which they can run."""
        return _graph.ordered(self)

    class Runner:
        """Starts workflows from a command line."""

        @staticmethod
        def getDefaultArgumentParser(jobstore_as_flag: bool = False) -> ArgumentParser:
            """A parser with the job store, and every option of the engine and its plugins."""
            from toil._options import default_parser

            return default_parser(jobstore_as_flag=jobstore_as_flag)

        @staticmethod
        def getDefaultOptions(jobStore: Any = None, jobstore_as_flag: bool = False) -> Namespace:
            """The options of a run on a job store, with what environment and config file say; to be changed before use."""
            from toil._options import default_options

            return default_options(jobStore)

        @staticmethod
        def addToilOptions(parser: Any, jobstore_as_flag: bool = False) -> None:
            """Add the job store, and every option of the engine and its plugins, to a parser of argparse."""
            from toil._options import add_options

            add_options(parser, jobstore_as_flag=jobstore_as_flag)

        @staticmethod
        def startToil(job: Job, options: Namespace) -> Any:
            """Run a workflow to its end, or go on with it if the options say so; what the root job returns."""
            from toil.common import Toil

            with Toil(options) as toil:
                return toil.restart() if getattr(options, "restart", False) else toil.start(job)

        get_default_argument_parser = getDefaultArgumentParser
        get_default_options = getDefaultOptions
        add_toil_options = addToilOptions
        start_toil = startToil

    Service: TypeAlias = services.Service

    def __getattr__(self, name: str) -> Any:
        return getattr(self, camel(type(self), name))

    def _toil_add(self, job: Job, successors: list[Job]) -> None:
        _graph.link(self, job, successors)

    def _toil_inside(self) -> list[Job]:
        """The job that it encapsulates, if it does."""
        return []

    def _toil_node(self) -> Any:
        """A job of toil-core that stands for it."""
        needs: Any = self._toil_core_needs()
        return run_body.requiring(**needs)(self)

    def _toil_enter(self, running: toil_core.Job[Any], file_store: AbstractFileStore) -> None:
        self._toil_links.running = running
        self._toil_links.file_store = file_store

    def _toil_running(self, what: str) -> toil_core.Job[Any]:
        if self._toil_links.running is None:
            raise AttributeError(f"{self} is not running, so it has no {what}")
        return self._toil_links.running


def camel(kind: type, name: str) -> str:
    """The method of a class that a name in snake_case means.

    Raises:
        AttributeError: There is none.
    """
    first, *rest = name.split("_")
    other = first + "".join(part.capitalize() for part in rest)
    if not first or not rest or not hasattr(kind, other):
        raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
    return other


@toil_core.job
def run_body(job: toil_core.Job[Any], body: Job) -> Any:
    """Run a script's job in a job of toil-core.

    Args:
        job: The running job.
        body: The script's job.
    """
    file_store = AbstractFileStore(job)
    body._toil_enter(job, file_store)
    value = body.run(file_store)
    _graph.connect(body, job)
    return value


class FunctionWrappingJob(Job):
    """A job that calls a function.

    Args:
        userFunction: The function.
        args: Its arguments; promises may be in them.
        kwargs: Its keyword arguments, and the job's own: memory, cores, disk, accelerators, preemptible, walltime,
            checkpoint, local, name, displayName. What is not given is taken from the function's parameter
            of that name, if it has a default.
    """

    def __init__(self, userFunction: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        defaults = _defaults(userFunction)
        needs = {name: kwargs.pop(name, defaults.get(name)) for name in RESERVED}
        names = [kwargs.pop(name, None) for name in ("unitName", "displayName", "name", "jobName")]
        for unused in ("descriptionClass", "files"):
            kwargs.pop(unused, None)
        super().__init__(**needs, unitName=next(filter(None, names), None) or getattr(userFunction, "__name__", ""))
        self.userFunction = userFunction
        self._args = args
        self._kwargs = kwargs

    def run(self, fileStore: AbstractFileStore) -> Any:
        """Call the function."""
        return self.userFunction(*self._args, **self._kwargs)


class JobFunctionWrappingJob(FunctionWrappingJob):
    """A job that calls a function with itself as the first argument; see `FunctionWrappingJob`."""

    def run(self, fileStore: AbstractFileStore) -> Any:
        """Call the function."""
        return self.userFunction(self, *self._args, **self._kwargs)


class PromisedRequirementFunctionWrappingJob(FunctionWrappingJob):
    """A job that calls a function, and whose needs are promised."""

    @classmethod
    def create(cls, userFunction: Callable[..., Any], *args: Any, **kwargs: Any) -> FunctionWrappingJob:
        """Make one."""
        return cls(userFunction, *args, **kwargs)


class PromisedRequirementJobFunctionWrappingJob(PromisedRequirementFunctionWrappingJob, JobFunctionWrappingJob):
    """A job that calls a function with itself as the first argument, and whose needs are promised."""


class EncapsulatedJob(Job):
    """Stands for a job and all below it. Made by `Job.encapsulate`.

    Args:
        job: The job.
        unitName: What people call it.
    """

    def __init__(self, job: Job, unitName: str | None = None) -> None:
        super().__init__(unitName=unitName)
        if job._toil_links.before:
            raise JobException(f"{job} was added to {job._toil_links.before[0]} already; encapsulate it first, and add what that gives")
        job._toil_links.before.append(self)
        self.encapsulatedJob = job

    def _toil_inside(self) -> list[Job]:
        return [self.encapsulatedJob]

    def _toil_node(self) -> Any:
        links = self.encapsulatedJob._toil_links
        if links.node is None:
            links.node = self.encapsulatedJob._toil_node()
        return links.node.encapsulate()


class ServiceHostJob(Job):
    """The job that a running service is given; nothing can be added to it.

    Args:
        service: The service.
    """

    def __init__(self, service: services.Service) -> None:
        super().__init__(unitName=service.jobName)
        self.service = service

    def _toil_add(self, job: Job, successors: list[Job]) -> None:
        raise GraphError(f"{self} is a service, and nothing can be added to it")

    def addService(self, service: services.Service, parentService: services.Service | None = None) -> Promise:
        """A service has no services.

        Raises:
            GraphError: Always.
        """
        raise GraphError(f"{self} is a service, and nothing can be added to it")


def unwrap(p: Any) -> Any:
    """The value of something that was a promise when the graph was made; this is a worker, so it is there.

    Raises:
        TypeError: It is a promise still.
    """
    if isinstance(p, Promise):
        raise TypeError(f"{p!r} has no value yet; pass it to another job to use it")
    return p


def unwrap_all(ps: Sequence[Any]) -> Sequence[Any]:
    """The values of several; see `unwrap`."""
    return [unwrap(p) for p in ps]


def _wrapping(
    plain: type[FunctionWrappingJob], promised: type[FunctionWrappingJob], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> FunctionWrappingJob:
    later = any(isinstance(kwargs.get(name), (Promise, PromisedRequirement)) for name in RESERVED)
    return (promised if later else plain)(fn, *args, **kwargs)


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return {}
    return {name: found.default for name, found in parameters.items() if found.default is not inspect.Parameter.empty}
