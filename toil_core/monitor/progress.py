"""What a person sees while a workflow runs: counts that are kept for every event, and lines.

All of it goes to standard error; standard output belongs to the user's script.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from toil_core.events import AttemptFailed, Event, JobDone, JobMessage, JobsAdded, JobsDropped, JobStarted, RunEnded, RunStarted, ServiceUp
from toil_core.leader.options import EngineOptions
from toil_core.leader.tell import Listener
from toil_core.monitor.logging import logged
from toil_core.monitor.text import about, printable, span
from toil_core.options import Config
from toil_core.sizes import count

FIRST_WAIT, LONGEST_WAIT, GROWTH = 2.0, 60.0, 1.5
"""Seconds between two lines that tell how far it is."""
TAILS = 20
"""So many failed attempts are shown with the end of their logs; later ones in a line or two each."""

_run = logging.getLogger("toil.run")
_job = logging.getLogger("toil.job")
_LEVELS = {"succeeded": logging.INFO, "interrupted": logging.WARNING, "failed": logging.ERROR}


@contextmanager
def watching(config: Config) -> Iterator[Listener]:
    """A listener for `lead` that shows the run on standard error until the block ends.

    On a terminal a display is kept up to date, elsewhere (and with `disable_progress`) there are
    plain lines. Logging is set up as the options say, see `toil_core.monitor.logging`.

    Raises:
        BadOption: The log file cannot be written.
    """
    with logged(config) as lines:
        if config[EngineOptions].disable_progress or not is_terminal(sys.stderr):
            yield Progress()
            return
        from toil_core.monitor.display import displayed

        progress = Progress(steps=False)
        with displayed(progress, lines):
            yield progress


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a display that is drawn anew again and again can be shown there."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    except ValueError:  # it is closed
        return False


class Kind:
    """Counts of the jobs of one name.

    Attributes:
        total: Known so far.
        done: Whose bodies ran.
        running: At this moment.
        failed: For good.
        memory: Bytes at the peak of the hungriest attempt.
    """

    __slots__ = ("done", "failed", "memory", "running", "total")

    def __init__(self, total: int = 0, done: int = 0) -> None:
        self.total = total
        self.done = done
        self.running = 0
        self.failed = 0
        self.memory = 0


class Progress:
    """Counts what happens, and says in the log what a person should know.

    Args:
        steps: Whether to say now and then how far the run is.

    Attributes:
        kinds: Counts by job name.
        total: Jobs known so far.
        done: Jobs whose bodies ran.
        running: Jobs that run.
        failed: Jobs that failed for good.
        cpu: Processor seconds used by this leader's attempts.
        started: When the run started, in seconds since 1970; 0 before that.
    """

    def __init__(self, *, steps: bool = True) -> None:
        self.kinds: dict[str, Kind] = {}
        self.total = self.done = self.running = self.failed = 0
        self.cpu = 0.0
        self.started = 0.0
        self.title = ""
        self._locator = ""
        self._active: set[str] = set()
        self._wait = FIRST_WAIT
        self._next = float("inf")
        self._steps = steps
        self._tails = TAILS
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            JobDone: self._job_done,
            JobStarted: self._job_started,
            JobsAdded: self._jobs_added,
            JobsDropped: self._jobs_dropped,
            ServiceUp: self._service_up,
            AttemptFailed: self._attempt_failed,
            JobMessage: self._message,
            RunStarted: self._run_started,
            RunEnded: self._run_ended,
        }

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        if event.time >= self._next and not isinstance(event, RunEnded):
            self._step(event.time)  # before it: what has just ended would be missing, and what follows it has not begun
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _job_done(self, event: JobDone) -> None:
        kind = self.kinds.get(event.name) or self._kind(event.name)
        kind.done += 1
        self.done += 1
        self._stopped(event.job, kind)
        usage = event.usage
        self.cpu += usage.cpu
        kind.memory = max(kind.memory, usage.memory)

    def _job_started(self, event: JobStarted) -> None:
        if event.job not in self._active:
            self._active.add(event.job)
            self.running += 1
            self._kind(event.name).running += 1

    def _jobs_added(self, event: JobsAdded) -> None:
        for name, added in event.names.items():
            self._kind(name).total += added
            self.total += added

    def _jobs_dropped(self, event: JobsDropped) -> None:
        for name, (total, done) in event.names.items():
            kind = self._kind(name)
            kind.total -= total
            kind.done -= done
            self.total -= total
            self.done -= done
        dropped = sum(total for total, _ in event.names.values())
        _run.warning("%s %s: runs again; %s below it dropped", event.name, event.job, count(dropped, "job"))

    def _service_up(self, event: ServiceUp) -> None:
        _run.debug("%s %s: the service is up", event.name, event.job)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        kind = self._kind(event.name)
        self._stopped(event.job, kind)
        if event.usage is not None:
            self.cpu += event.usage.cpu
            kind.memory = max(kind.memory, event.usage.memory)
        if event.final:
            kind.failed += 1
            self.failed += 1
        _run.log(logging.ERROR if event.final else logging.WARNING, "%s", failed_text(event, self._locator, tail=self._tails > 0))
        self._tails -= 1

    def _message(self, event: JobMessage) -> None:
        _job.log(event.level, "%s %s: %s", event.name, event.job, printable(event.text))

    def _run_started(self, event: RunStarted) -> None:
        self.kinds = {name: Kind(total, done) for name, (total, done) in event.kinds.items()}
        self.total, self.done, self.started = event.total, event.done, event.time
        self._locator = event.job_store
        self.title = f"workflow {event.workflow[:8]} on {event.job_store}"
        if self._steps:
            self._next = event.time + self._wait
        if event.restarted:
            _run.info("%s: goes on; %s of %s done", self.title, f"{event.done:,}", count(event.total, "job"))
        else:
            _run.info("%s: started", self.title)

    def _run_ended(self, event: RunEnded) -> None:
        self._next = float("inf")
        self.running = 0
        for kind in self.kinds.values():
            kind.running = 0
        self._active.clear()
        _run.log(_LEVELS.get(event.outcome, logging.INFO), "%s: %s", self.title, self._summary(event))

    def _summary(self, event: RunEnded) -> str:
        jobs = f"{event.done:,} of {count(event.total, 'job')} done" + (f", {event.failed:,} failed" if event.failed else "")
        used = f"{span(event.time - self.started)}, {self.cpu:.{2 if self.cpu < 10 else 0}f} CPU seconds"
        name, hungriest = max(self.kinds.items(), key=lambda item: item[1].memory, default=("", Kind()))
        memory = f"; most memory: {about(hungriest.memory)} for {name}" if hungriest.memory else ""
        return f"{event.outcome}; {jobs} in {used}{memory}"

    def _step(self, now: float) -> None:
        failed = f", {self.failed:,} failed" if self.failed else ""
        _run.info("%s of %s done, %s running%s", f"{self.done:,}", count(self.total, "job"), f"{self.running:,}", failed)
        self._wait = min(self._wait * GROWTH, LONGEST_WAIT)
        self._next = now + self._wait

    def _stopped(self, job: str, kind: Kind) -> None:
        if job in self._active:  # a chained job was never told to have started
            self._active.remove(job)
            self.running -= 1
            kind.running -= 1

    def _kind(self, name: str) -> Kind:
        kind = self.kinds.get(name)
        if kind is None:
            kind = self.kinds[name] = Kind()
        return kind


def failed_text(event: AttemptFailed, locator: str, *, tail: bool = True) -> str:
    """What to show of a failed attempt: which, why, the end of its log, what comes next, where the rest is.

    Args:
        event: The failure.
        locator: The job store.
        tail: Whether the end of the log is wanted.
    """
    lines = [f"{event.name} {event.job}: {reason_text(event.reason.value, event.message)}; {_next_text(event)}"]
    if tail and event.tail.strip():
        lines += [f"  | {line}" for line in printable(event.tail).rstrip().split("\n")]
    if event.log:
        lines.append(f"  its whole log: {logs_command(locator, event.job)}")
    return "\n".join(lines)


def reason_text(reason: str, message: str) -> str:
    """The reason and the message, without saying the same thing twice."""
    message = printable(message)
    return reason if message in ("", reason) else f"{reason}: {message}"


def logs_command(locator: str, job: str) -> str:
    """The command that shows a job's whole log."""
    from toil_core.locators import quoted

    return f"toil logs {quoted(locator)} {quoted(job)}"


def _next_text(event: AttemptFailed) -> str:
    if event.final:
        return "it is not tried again"
    when = f" in {span(event.retry_in)}" if event.retry_in > 0 else ""
    left = count(event.tries_left, "try") if event.tries_left == 1 else f"{event.tries_left} tries"
    what = f"{event.instead} above it runs again" if event.instead else "it is tried again"
    return f"{what}{when} ({left} left)"
