"""What a running job knows of its attempt, and what it leaves behind besides its return value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toil_core.errors import UsageError

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

    __slots__ = ("_files", "kind", "messages", "place", "task", "touched")

    def __init__(self, task: Task, kind: Kind, place: Place) -> None:
        self.task = task
        self.kind = kind
        self.place = place
        self.messages: list[tuple[int, str]] = []
        """Level and text of what it told the user."""
        self.touched: list[Job[Any]] = []
        """Jobs that got successors while it ran."""
        self._files: Files | None = None

    @property
    def files(self) -> Files:
        """The workflow's files; the job store is opened when they are first asked for."""
        if self._files is None:
            from toil_core.options import Config
            from toil_core.wire import keys
            from toil_core.workflow.files import Files

            place = self.place
            config = Config.from_dict(place.setup.options)
            self._files = Files(place.open_store(), keys.attempt_files(place.request, self.task.job), place.tmp, config)
        return self._files

    @property
    def deleted(self) -> tuple[str, ...]:
        """Keys of the files that it asked to delete."""
        return () if self._files is None else tuple(self._files.deleted)

    def say(self, text: str, level: int | str) -> None:
        """Keep a message for the user.

        Raises:
            UsageError: There is no such level.
        """
        number = level if isinstance(level, int) else LEVELS.get(level.upper())
        if number is None:
            raise UsageError(f"{level!r} is not a level of logging; use one of {', '.join(LEVELS)}")
        self.messages.append((number, str(text)))
