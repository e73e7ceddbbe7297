"""What a running job knows of its attempt, and what it leaves behind besides its return value."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toil_core.errors import GraphError, UsageError

if TYPE_CHECKING:
    from toil_core.wire.jobs import Kind
    from toil_core.wire.work import Task
    from toil_core.worker.runner import Place
    from toil_core.workflow.files import Files
    from toil_core.workflow.job import Job

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class Running:
    """One attempt at a job, while it runs.

    Args:
        task: The attempt.
        kind: What kind of job it is.
        place: Where it runs.
    """

    __slots__ = ("held", "kind", "messages", "place", "task", "touched")

    def __init__(self, task: Task, kind: Kind, place: Place) -> None:
        self.task = task
        self.kind = kind
        self.place = place
        self.messages: list[tuple[int, str]] = []
        """Level and text of what its commit is to tell the user."""
        self.touched: list[Job[Any]] = []
        """Jobs that got successors while it ran."""
        self.held: Files | None = None
        """The workflow's files, once it asked for them."""

    @property
    def files(self) -> Files:
        """The workflow's files; the job store is opened when they are first asked for."""
        if self.held is None:
            from toil_core.options import Config
            from toil_core.wire import keys
            from toil_core.workflow.files import Files

            place = self.place
            config = Config.from_dict(place.setup.options)
            cache = None
            if place.cache:
                from toil_core.worker.cache import Cache

                cache = Cache(place.cache)
            self.held = Files(place.open_store(), keys.execution_files(place.request, self.task.job, place.mark), place.tmp, config, cache)
        return self.held

    @property
    def deleted(self) -> tuple[str, ...]:
        """Keys of the files that it asked to delete."""
        return () if self.held is None else tuple(self.held.deleted)

    @property
    def temporary(self) -> tuple[str, ...]:
        """Keys of the files that are to go when it is done with all below it."""
        return () if self.held is None else tuple(self.held.temporary)

    def say(self, text: str, level: int | str) -> None:
        """Tell the user something: now, or with the commit where nothing can be told before.

        Raises:
            UsageError: There is no such level.
        """
        number = level if isinstance(level, int) else LEVELS.get(level.upper())
        if number is None:
            raise UsageError(f"{level!r} is not a level of logging; use one of {', '.join(LEVELS)}")
        if self.place.say is not None:
            self.place.say(number, str(text))
        else:
            self.messages.append((number, str(text)))

    def defer(self, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note a call that is to be made when the attempt has ended.

        Raises:
            UsageError: It cannot be noted: it cannot be pickled, or holds a promise.
        """
        from toil_core.workflow.job import JobFunction
        from toil_core.workflow.pickling import UnknownJob, Writer

        inner = function.function if isinstance(function, JobFunction) else function
        name = str(getattr(inner, "__qualname__", type(inner).__name__))
        if not callable(inner) or self.place.defer is None:
            raise UsageError(f"defer() takes a function, not {inner!r}" if not callable(inner) else "nothing can be deferred here")
        writer = Writer({})
        call = (inner, args, kwargs)
        try:
            writer.add(call, lambda: [(f"what is deferred: '{name}'", part) for part in call])
        except UnknownJob as unknown:
            raise GraphError(f"the deferred function '{name}' is given the promise of job '{unknown.job.name}', which it cannot wait for") from None
        self.place.defer(name, writer.payload())
