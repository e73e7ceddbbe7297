"""Jobs: the nodes of a workflow's graph, made from functions or as classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypedDict, TypeVar, cast, overload

from toil_core.errors import GraphError
from toil_core.workflow.promise import Promise
from toil_core.workflow.requirement import Accelerators, Cores, Duration, Size, Wanted, wanted

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol, Self, Unpack

    import typing_extensions

    from toil_core.batch_system import Requirement
    from toil_core.workflow.files import Files
    from toil_core.workflow.running import Running
    from toil_core.workflow.service import Service

P = ParamSpec("P")
Q = ParamSpec("Q")
if TYPE_CHECKING:  # `Job` alone, as an annotation, is a job of any value
    R = typing_extensions.TypeVar("R", default=Any)
else:
    R = TypeVar("R")
S = TypeVar("S")
AnyJob = TypeVar("AnyJob", bound="Job[Any]")

JOB_PARAMETER = "job"
"""A function whose first parameter has this name is given its running job there."""


class Needs(TypedDict, total=False):
    """What `job` and `Job` can be told about a job; see `toil_core.workflow.requirement.wanted`."""

    cores: Cores | None
    memory: Size | None
    disk: Size | None
    preemptible: bool | None
    accelerators: Accelerators | None
    wall_time: Duration | None
    isolated: bool
    tries: int | None
    name: str | None
    checkpoint: bool
    local: bool


class Job(Generic[R]):
    """A node of the graph: one function call, or one object with `run`, that runs on some machine.

    Calling a decorated function makes one. Derive from it and define `run` for a job with a
    class of its own; `Job()` itself does nothing and serves as a root for others. A job runs
    when all that it was added to has run; then its children run, with all that is below them;
    then its follow-ons.

    Args:
        needs: Cores, memory, disk, preemptible, accelerators, wall_time, isolated, tries and
            name, as in `toil_core.workflow.requirement.wanted`; the run's defaults where not given.

    Raises:
        BadOption: One of them cannot be used.
    """

    __slots__ = (
        "__dict__", "__weakref__", "_toil_before", "_toil_children", "_toil_follow_ons", "_toil_owner", "_toil_running", "_toil_services",
        "_toil_wanted",
    )  # fmt: skip

    _toil_wanted: Wanted
    _toil_children: list[Job[Any]]
    _toil_follow_ons: list[Job[Any]]
    _toil_services: list[Service[Any]] | None
    _toil_before: list[Job[Any]]
    _toil_owner: object
    _toil_running: Running | None

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        self = super().__new__(cls)
        _prepare(self, _NOTHING)  # here, so that a subclass need not call __init__
        return self

    def __init__(self, **needs: Unpack[Needs]) -> None:
        self._toil_wanted = wanted(**needs)

    def run(self) -> R:
        """What the job does; its return value is what the job's promises stand for."""
        if type(self) is not Job:
            raise NotImplementedError(f"{type(self).__name__} defines no run()")
        return cast(R, None)

    def add_child(self, node: AnyJob) -> AnyJob:
        """Make a job run after this one, and give it back.

        Raises:
            GraphError: It is no job.
        """
        self._link(self._toil_children, node, "add_child")
        return node

    def add_follow_on(self, node: AnyJob) -> AnyJob:
        """Make a job run after this one and all below its children, and give it back.

        Raises:
            GraphError: It is no job.
        """
        self._link(self._toil_follow_ons, node, "add_follow_on")
        return node

    def add_service(self, service: Service[S], parent: object = None) -> S:
        """Have a service run beside all that is below this job.

        It starts when this job's body ran; this job's children run once all its services are up, and the
        services stop as soon as all below this job is done.

        Args:
            service: The service.
            parent: Another service of this job, or what `add_service` gave for it, that must be up before this one starts.

        Returns:
            The promise of what the service's `start` returns.

        Raises:
            GraphError: It is no service, or the parent is none of this job.
        """
        from toil_core.workflow.service import add

        return cast(S, add(self, service, parent))

    def encapsulate(self) -> Job[R]:
        """A job that stands for this one and all below it: its children run after all of that.

        Add it in the place of this job. Its promise is this job's.
        """
        from toil_core.workflow.encapsulated import Encapsulated

        return Encapsulated(self)

    @overload
    def rv(self) -> R: ...
    @overload
    def rv(self, step: Any, /, *path: Any) -> Any: ...
    def rv(self, *path: Any) -> Any:
        """The promise of what the job returns, or of a part of it.

        The job itself, given as an argument or returned, means the same as `rv()`. To a type
        checker the promise is what it stands for.

        Args:
            path: Steps into the value, each an index, a key or an attribute: `rv(0, "key")`.
        """
        return Promise(self, path)

    @property
    def name(self) -> str:
        """What people call the job."""
        return self._toil_wanted.name or type(self).__name__

    @property
    def id(self) -> str:
        """The id of the running job."""
        return self._when_running("id").task.job

    @property
    def requirements(self) -> Requirement:
        """What the running job was given: its own requirement, defaults filled in."""
        return self._when_running("requirements").kind.requirement

    @property
    def tmp(self) -> Path:
        """The running job's own folder, its working directory; gone when the job ends."""
        return self._when_running("tmp").place.tmp

    @property
    def files(self) -> Files:
        """The workflow's files, as the running job sees them."""
        return self._when_running("files").files

    def log(self, text: str, level: int | str = "INFO") -> None:
        """Tell the user something, while the job runs wherever the batch system can pass it on.

        Args:
            text: What to say.
            level: A level of the logging module, or its name.
        """
        self._when_running("log").say(text, level)

    def defer(self, function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have a function called when this attempt has ended, however that comes about.

        Also when the attempt, its worker or all of the machine's workers are killed: then a later worker on
        the machine calls it. Those deferred last are called first, each in a process of its own, in the
        attempt's folder where that is still there, for at most `--deferred-time`. What they print is in the
        attempt's log.

        Args:
            function: What to call.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Raises:
            UsageError: It cannot be pickled.
        """
        self._when_running("defer").defer(function, args, kwargs)

    def __repr__(self) -> str:
        return f"<job '{self.name}'>"

    def _toil_state(self, ids: Mapping[int, str]) -> object:
        """What a worker makes the object of again; `ids` has the id of each job of the graph by `id(job)`."""
        return self.__getstate__()

    def __getstate__(self) -> object:
        """The attributes that a subclass set; what the engine keeps on a job stays behind."""
        state = cast("tuple[dict[str, Any] | None, dict[str, Any]]", object.__getstate__(self))
        slots = {name: value for name, value in state[1].items() if name not in _ENGINE}
        return (state[0], slots) if slots else state[0]

    def _when_running(self, what: str) -> Running:
        if self._toil_running is None:
            raise AttributeError(f"{self!r} is not running, so it has no {what}")
        return self._toil_running

    def _link(self, successors: list[Job[Any]], node: Job[Any], method: str) -> None:
        if not isinstance(node, Job):
            raise GraphError(f"{self!r}.{method}: {_not_a_job(node)}")
        if node._toil_wanted.service:
            raise GraphError(f"{self!r}.{method}: '{node.name}' is a service; add it with add_service")
        successors.append(node)
        node._toil_before.append(self)
        if current is not None and self._toil_running is None:
            current.touched.append(self)


_ENGINE = frozenset(Job.__slots__)
_NOTHING = Wanted()
_MANY = 1 << 30
_ANY = range(-1, _MANY)
current: Running | None = None
"""The attempt that runs in this process, if one does."""


def _prepare(node: Job[Any], needs: Wanted) -> None:
    node._toil_wanted = needs
    node._toil_children = []
    node._toil_follow_ons = []
    node._toil_before = []
    node._toil_owner = node._toil_running = node._toil_services = None


def _not_a_job(thing: object) -> str:
    if isinstance(thing, JobFunction):
        return f"'{thing.name}' is a function; call it, {thing.name}(…), to make a job"
    if callable(thing):
        return f"{thing!r} is no job; wrap it, job({getattr(thing, '__name__', 'function')})(…), to make one"
    return f"{thing!r} is no job"


class FunctionJob(Job[R]):
    """A job that calls a function. Made by calling a `JobFunction`."""

    __slots__ = ("args", "function", "kwargs")

    function: JobFunction[..., R]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """What people call the job."""
        return self.function.name


AnyFunctionJob = TypeVar("AnyFunctionJob", bound=FunctionJob[Any])


class JobFunction(Generic[P, R]):
    """A function whose calls are jobs. Made by `job`.

    Args:
        function: What a job calls, also reachable as the attribute `function`.
        needs: What each of its jobs needs.
    """

    def __init__(self, function: Callable[P, R], needs: Wanted) -> None:
        self._check(function)
        update_wrapper(self, function)
        self.function = function
        self.needs = needs
        self.name = needs.name or function_name(function)
        self.reference: str | None = None
        """`module:name` once it is known that workers can import it from there."""
        self._fits = _arguments(function)

    def _check(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise GraphError(f"job() takes a function, not {function!r}")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise GraphError(f"job '{function_name(function)}' is an async or generator function; a job must return its value")

    @overload
    def __call__(self: JobFunction[Concatenate[Job[Any], Q], S], /, *args: Q.args, **kwargs: Q.kwargs) -> Job[S]: ...
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    def __call__(self, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Make a job that calls the function with these arguments when it runs.

        Arguments may be, and may hold, other jobs and promises. A first parameter named `job`
        is not among them: the running job is given there.

        Raises:
            TypeError: The function does not take these arguments.
        """
        return self._make(FunctionJob, args, kwargs)

    def _make(self, kind: type[AnyFunctionJob], args: tuple[Any, ...], kwargs: dict[str, Any]) -> AnyFunctionJob:
        if kwargs or len(args) not in self._fits:
            self._bind(args, kwargs)
        node: AnyFunctionJob = _new(kind)
        _prepare(node, self.needs)
        node.function = self
        node.args = args
        node.kwargs = kwargs
        return node

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Find now what would otherwise fail when the job runs."""
        if self._fits != _ANY:
            running = (None,) * takes_job(self.function)
            try:
                _signature(self.function).bind(*running, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"job '{self.name}': {error}") from None

    def requiring(self, **needs: Unpack[Needs]) -> JobFunction[P, R]:
        """The same function with other needs; those not given stay: `align.requiring(memory="8 GiB")(reads)`."""
        from dataclasses import replace

        changes = wanted(**needs)
        later = tuple(item for item in self.needs.promised if item[0] not in needs) + changes.promised
        return type(self)(self.function, replace(self.needs, **{name: getattr(changes, name) for name in needs}, promised=later))

    def __repr__(self) -> str:
        return f"<job function '{self.name}'>"

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        from toil_core.workflow.pickling import find_reference

        if self.reference or find_reference(self):
            return self.__qualname__
        return super().__reduce_ex__(protocol)

    __qualname__: str


_new = object.__new__


def function_name(function: Any) -> str:
    """What people call a function."""
    inner = getattr(function, "func", function)  # of functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__)).strip("<>")


_signature = lru_cache(256)(inspect.signature)


def _arguments(function: Callable[..., Any]) -> range:
    """With how many arguments by position alone the function can surely be called; `_ANY` when only the call can tell."""
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):  # what wraps a function may give it more
        return _ANY
    code = function.__code__
    if code.co_kwonlyargcount:
        return range(0)
    named = code.co_argcount - takes_job(function)
    least = max(0, named - len(function.__defaults__ or ()))
    return range(least, _MANY if code.co_flags & inspect.CO_VARARGS else named + 1)


def takes_job(function: Callable[..., Any]) -> bool:
    """Whether the function's first parameter is named `job`."""
    code = getattr(function, "__code__", None)
    if code is not None and not hasattr(function, "__wrapped__"):
        return bool(code.co_argcount) and code.co_varnames[0] == JOB_PARAMETER
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    return next(iter(parameters), None) == JOB_PARAMETER


if TYPE_CHECKING:

    class Decorator(Protocol):
        """Turns a function into a `JobFunction`."""

        def __call__(self, function: Callable[P, R], /) -> JobFunction[P, R]: ...


@overload
def job(function: Callable[P, R], /, **needs: Unpack[Needs]) -> JobFunction[P, R]: ...
@overload
def job(**needs: Unpack[Needs]) -> Decorator: ...
def job(function: Callable[..., Any] | None = None, /, **needs: Unpack[Needs]) -> Any:
    """Make calls of a function into jobs: `@job`, `@job(cores=2)`, or `job(function, cores=2)(…)` for one made elsewhere.

    A function whose first parameter is named `job` is given its running job there (see `Job`).

    Args:
        function: What a job calls. Functions of modules and of the main script are sent to workers
            by name; lambdas, closures and functions of a notebook are sent whole.
        needs: Cores, memory, disk, preemptible, accelerators, wall_time, isolated, tries and
            name, as in `toil_core.workflow.requirement.wanted`; the run's defaults where not given.

    Raises:
        BadOption: One of the needs cannot be used.
        GraphError: It is no function, or one that cannot return a value.
    """
    if isinstance(function, JobFunction):
        return function.requiring(**needs)
    wants = wanted(**needs)
    if function is None:
        return lambda inner: JobFunction(inner, wants)
    return JobFunction(function, wants)
