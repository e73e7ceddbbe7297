"""Promises: what stands for a job's return value before the job has run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    from toil_core.workflow.job import Job

T_co = TypeVar("T_co", covariant=True)


class Promise(Generic[T_co]):
    """Stands for a job's return value, or for a part of it, until the job has run.

    It may sit anywhere inside the arguments and the return values of jobs; where it is used,
    the value has taken its place. Made by `Job.rv`.

    Args:
        job: The job whose return value is meant.
        path: Steps into the value: each is an index or a key; or the name of an attribute
            where the value cannot be indexed by it.
    """

    __slots__ = ("job", "path")

    def __init__(self, job: Job[Any], path: tuple[Any, ...] = ()) -> None:
        self.job = job
        self.path = path

    def __repr__(self) -> str:
        return f"<promise of {describe(self.job.name, self.path)}>"

    def __bool__(self) -> NoReturn:
        raise TypeError(f"the value of {self!r} is not known before the job has run; pass it to another job to use it")


class Known:
    """The promise of a job that is known by its id alone, among what another job returns.

    Args:
        id: The job's id.
        name: Its name.
    """

    __slots__ = ("id", "name")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name


def describe(name: str, path: tuple[Any, ...]) -> str:
    """A job's value and the steps into it, for messages."""
    return f"job '{name}'" + "".join(f"[{step!r}]" for step in path)


def follow(value: Any, path: tuple[Any, ...], name: str) -> Any:
    """The part of a value that a promise's path leads to.

    Args:
        value: What the job returned.
        path: The steps.
        name: The job's name, for errors.

    Raises:
        LookupError: A step leads nowhere; says which, and what it was tried on.
    """
    for done, step in enumerate(path):
        try:
            value = _step(value, step)
        except (LookupError, TypeError, AttributeError) as error:
            so_far = describe(name, path[:done])
            raise LookupError(f"the value of {so_far} is a {type(value).__name__} and has no [{step!r}] ({error})") from None
    return value


def _step(value: Any, step: Any) -> Any:
    try:
        return value[step]
    except TypeError:
        if isinstance(step, str) and hasattr(value, step):
            return getattr(value, step)
        raise


class Computed:
    """What a function makes of promised values, once they are known. Made by `promised`.

    Args:
        function: Called with the values.
        args: May be, and may hold, jobs and promises.
    """

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args


def promised(function: Callable[..., T_co], *args: Any) -> T_co:
    """What a job needs, computed from what other jobs return: `sort.requiring(memory=promised(lambda n: 3 * n, size))(text)`.

    The function is called on a worker, once the values are there. To a type checker it is what the function returns.

    Args:
        function: Called with the values.
        args: Its arguments: jobs and promises, or anything that holds them.
    """
    return cast(T_co, Computed(function, args))


def is_promised(value: object) -> bool:
    """Whether the value of a job's need is known only when other jobs have run."""
    from toil_core.workflow.job import Job

    return isinstance(value, (Promise, Computed, Job))
