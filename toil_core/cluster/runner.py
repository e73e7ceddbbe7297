"""Carries a plan of phases out: a thread for each phase that runs, and word of what is waited for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from toil_core.cluster.phases import Command, LeaveOut, Plan, Start
from toil_core.errors import ToilError, Transient, UsageError
from toil_core.telling import Trouble

Work = Callable[[float], str]
"""Does a phase; is told when it must be done (seconds of a clock that does not go back), and returns what is worth telling."""
Note = Callable[[str, str, str], None]
"""Keeps what became of a phase: its name, `started`, `done` or `failed`, and a message."""
_SILENCE = 10.0
"""After so many seconds of a phase it is said what it waits for."""


class PhaseFailed(ToilError):
    """A phase of a launch failed.

    Args:
        phase: Which.
        cause: The reason.
        why: The same in words; empty for those of the cause.
    """

    def __init__(self, phase: str, cause: BaseException, why: str = "") -> None:
        super().__init__(f"{phase}: {why or cause}")
        self.phase = phase
        self.cause = cause

    def verdict(self, text: str) -> ToilError:
        """The error to show for it.

        Args:
            text: What to say.
        """
        return (UsageError if isinstance(self.cause, UsageError) else ToilError)(text)


class Runner:
    """Does all phases of a plan, as many at a time as it allows.

    Args:
        plan: The plan.
        work: For each phase, what to do.
        note: Keeps what became of phases.
        tell: Shows the user a line.
        awaited: Says what a phase waits for, for the user.
        give_up: Set when nothing more is worth doing; phases that wait look at it.
    """

    def __init__(
        self,
        plan: Plan,
        work: Mapping[str, Work],
        note: Note,
        tell: Callable[[str], None],
        awaited: Callable[[str], str],
        give_up: threading.Event,
    ) -> None:
        self._plan, self._work, self._note, self._tell, self._awaited = plan, work, note, tell, awaited
        self._give_up = give_up
        self._busy = 0
        self._idle = threading.Condition()
        self._ended: queue.SimpleQueue[tuple[str, Exception | None, str]] = queue.SimpleQueue()

    def run(self) -> None:
        """Do all of it.

        Raises:
            PhaseFailed: One failed; those that ran have ended or will soon, and no more begins.
        """
        failure: PhaseFailed | None = None
        try:
            self._act(self._plan.go(time.monotonic()))
            while not self._plan.is_over:
                try:
                    name, error, message = self._ended.get(timeout=self._patience())
                except queue.Empty:
                    self._act(self._plan.passed(time.monotonic()))
                    if self._plan.failure:
                        failure = failure or self._failed(self._plan.failure.phase, Transient(self._plan.failure.why))
                        break
                    self._say_what_is_awaited()
                    continue
                if error is None:
                    self._done(name, message)
                else:
                    self._act(self._plan.failed(name, _in_words(error), time.monotonic(), spare=isinstance(error, ToilError | OSError)))
                    if self._plan.failure:
                        failure = failure or self._failed(name, error)
        finally:
            self._give_up.set()
        if failure:
            raise failure from failure.cause

    def settle(self, seconds: float) -> None:
        """Wait until no phase runs, or the time is over."""
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, seconds)

    def _done(self, name: str, message: str) -> None:
        if name in self._plan.running:
            self._note(name, "done", message)
            if message:
                self._tell(f"{name}: {message}")
            self._act(self._plan.done(name, time.monotonic()))

    def _failed(self, name: str, error: Exception) -> PhaseFailed:
        self._give_up.set()
        why = self._plan.failure.why if self._plan.failure else _in_words(error)
        self._note(name, "failed", why)
        return PhaseFailed(name, error, why)

    def _act(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Start):
                self._note(command.phase, "started", "")
                limit = self._plan.limit(command.phase)
                threading.Thread(target=self._do, args=(command.phase, limit), name=command.phase, daemon=True).start()
            elif isinstance(command, LeaveOut):
                self._note(command.phase, "failed", command.why)
                self._tell(Trouble(f"{command.phase} failed: {command.why}; goes on without {command.node}"))

    def _do(self, name: str, limit: float) -> None:
        with self._idle:
            given_up = self._give_up.is_set()  # an interrupt may come between the thread's start and this
            self._busy += not given_up
        if given_up:
            self._ended.put((name, Transient("nothing more is begun"), ""))
            return
        try:
            self._carry_out(name, limit)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _carry_out(self, name: str, limit: float) -> None:
        try:
            message = self._work[name](limit)
        except Exception as error:  # noqa: BLE001  it is told, or raised again, where the launch waits
            self._ended.put((name, error, ""))
        else:
            self._ended.put((name, None, message))

    def _patience(self) -> float:
        limit = self._plan.next_limit()
        return _SILENCE if limit is None else max(0.0, min(_SILENCE, limit - time.monotonic()))

    def _say_what_is_awaited(self) -> None:
        now = time.monotonic()
        long = sorted((since, name) for name, since in self._plan.running.items() if now - since >= 0.9 * _SILENCE)
        kinds: dict[str, list[tuple[float, str]]] = {}
        for since, name in long:
            kinds.setdefault(name.rpartition("/")[2], []).append((since, name))
        for (since, name), *others in kinds.values():
            more = f" and {len(others)} more" if others else ""
            self._tell(f"{name}{more}: waits for {self._awaited(name)} ({now - since:.0f} s)")


def _in_words(error: Exception) -> str:
    """What went wrong, for the user; of a file, which one and no number."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename is not None else str(error)
