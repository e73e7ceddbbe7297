"""What happens around the call of a job's function, in the attempt's process: plugins' hooks, and messages of the logging module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toil_core.wire.work import Setup

if TYPE_CHECKING:
    from toil_core.options import Config
    from toil_core.workflow.running import Running


class Around:
    """Calls jobs' functions in a workflow that wants something around them.

    Args:
        setup: What workers must know of the workflow.
    """

    def __init__(self, setup: Setup) -> None:
        self._config: Config | None = None
        self._hook: Any = None
        if setup.job_hooks:
            from toil_core import plugins
            from toil_core.options import Config

            self._config = Config.from_dict(setup.options)
            self._hook = plugins.hooks(self._config).hook
        self._level = 0
        if setup.log_level:
            import logging

            self._level = logging.getLevelNamesMapping()[setup.log_level]

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._level or self._hook)

    def call(self, running: Running, function: Callable[[], Any]) -> Any:
        """Call the function, with everything around it, and give back its value.

        Raises:
            Exception: What the function, or a `toil_before_job` hook, raises.
        """
        with self._speaking(running):
            return function() if self._hook is None else self._hooked(running, function)

    def _hooked(self, running: Running, function: Callable[[], Any]) -> Any:
        from toil_core.worker.failure import one_line

        task, kind = running.task, running.kind
        facts = {"job": task.job, "name": kind.name, "attempt": task.attempt, "requirement": kind.requirement, "tmp": running.place.tmp}
        self._hook.toil_before_job(**facts, config=self._config)
        error = ""
        try:
            return function()
        except BaseException as raised:
            error = one_line(raised)
            raise
        finally:
            try:
                self._hook.toil_after_job(**facts, error=error, config=self._config)
            except Exception:  # noqa: BLE001 - a plugin must not change what came of the job
                import traceback

                traceback.print_exc()

    @contextmanager
    def _speaking(self, running: Running) -> Iterator[None]:
        if not self._level:
            yield
            return
        import logging

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                try:
                    running.say(self.format(record), record.levelno)
                except Exception:  # noqa: BLE001 - as every handler of the logging module does
                    self.handleError(record)

        handler, root = Handler(self._level), logging.getLogger()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        former = root.level
        root.addHandler(handler)
        root.setLevel(min(former, self._level) or self._level)
        try:
            yield
        finally:
            root.setLevel(former)
            root.removeHandler(handler)


_around: tuple[Setup, Around | None] | None = None


def around_of(setup: Setup) -> Around | None:
    """What a workflow wants around the calls of its jobs' functions; None when it wants nothing."""
    global _around
    if _around is None or _around[0] is not setup:
        found = Around(setup)
        _around = setup, found if found.needed else None
    return _around[1]
