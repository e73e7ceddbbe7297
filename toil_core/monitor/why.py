"""Why a job, or anything at all, is not running: from the job down to the cause, each with what to do."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping

from toil_core.batch_system import Requirement
from toil_core.errors import NoSuchKey, UsageError
from toil_core.job_store import JobStore
from toil_core.leader import epoch
from toil_core.leader.graph import Graph
from toil_core.leader.history import Attempt
from toil_core.leader.options import EngineOptions
from toil_core.leader.page import Page, RequestPage
from toil_core.leader.state import CHILDREN, DONE, FAILED, FOLLOWING, WAITING, JobState, Stage
from toil_core.locators import quoted
from toil_core.monitor import history, status, why_services
from toil_core.monitor.causes import Cause, name_of
from toil_core.monitor.glance import glance, newest_page
from toil_core.monitor.progress import logs_command, reason_text
from toil_core.monitor.status import Status
from toil_core.monitor.text import about, span
from toil_core.options import Config
from toil_core.sizes import cores, count
from toil_core.wire import keys
from toil_core.wire.jobs import Failure


def why_run(store: JobStore, locator: str) -> list[Cause]:
    """Why nothing, or not more, is running; the most important first.

    Raises:
        NoSuchJobStore: Nothing is stored there.
    """
    told = glance(store, locator)
    page = newest_page(store, told.leader.epoch) if told.workflow else None
    causes = list(_of_leader(told))
    if told.leader.state in ("running", "unknown") and not told.complete:
        causes += _of_room(told, page)
    if told.failed and not told.complete:
        first = next((failure for failure in told.failures if failure.final), None)
        example = f", for example {first.name} {first.job}: {reason_text(first.reason, first.message)}" if first else ""
        advice = f"see `toil status {quoted(locator)}`; when the cause is gone, go on with --restart after the run's end"
        causes.append(Cause("failed", f"{count(told.failed, 'job')} failed for good{example}; what comes after them never runs", advice=advice))
    return causes


def why_job(store: JobStore, locator: str, job: str) -> list[Cause]:
    """Why the job is not running, or where it runs; from the job down to the root of it.

    Args:
        store: The job store.
        locator: What the user calls it.
        job: The job's id, or a name that only one job that is not done has.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: There is no such job, or several have the name.
    """
    at_once = _told_at_once(store, locator, job)
    if at_once is not None:
        return [at_once]
    told, graph, found = status.examine_graph(store, locator)
    if not told.workflow:
        return list(_of_leader(told))
    state = graph.jobs.get(job) or _named(graph, job)
    if state is None:
        damaged: list[str] = []
        return [_forgotten(history.of(store, graph, found, damaged), graph, locator, job, damaged)]
    page = newest_page(store, told.leader.epoch) if told.leader.state in ("running", "unknown") else None
    causes = list(_Chain(graph, page, locator, _options(store, told)).of(state))
    if causes[-1].what in ("waits for room", "delayed", "waits for leader") and page is None:
        causes += _of_leader(told)
    return causes


def _options(store: JobStore, told: Status) -> EngineOptions:
    setup = status.setup(store, told.leader.epoch)
    info = None if setup else status.workflow_info(store, told.job_store)
    return Config.from_dict(setup.options if setup else info.options if info else {})[EngineOptions]


# The run as a whole


def _of_leader(told: Status) -> Iterator[Cause]:
    leader, following = told.leader, status.advice(told).removeprefix("Next: ")
    where = f"process {leader.pid} on {leader.host}"
    if not told.workflow:
        yield Cause("half made", "a workflow was about to be started here, but its start was cut short", advice=following)
    elif told.complete:
        yield Cause("complete", "all is done", advice=following)
    elif leader.state == "none":
        yield Cause("leader", "no leader has taken this workflow up yet, so nothing is started", advice=following)
    elif leader.state == "dead":
        yield Cause("leader", f"the leader ({where}) died, so nothing is started", advice=following)
    elif leader.state == "stopped":
        ended = "ended because jobs had failed" if told.failed else "was stopped"
        yield Cause("leader", f"the leader ({where}) {ended}, so nothing is started", advice=following)
    elif leader.state == "unknown":
        told_last = f"; it told of itself last {span(max(0.0, time.time() - told.as_of))} ago" if told.as_of else ""
        yield Cause("leader", f"whether the leader ({where}) lives cannot be seen from this machine{told_last}", advice=following)


def _of_room(told: Status, page: Page | None) -> Iterator[Cause]:
    if page is None:
        yield Cause("leader", "the leader has only begun", advice="ask again in a moment")
        return
    if page.stopping:
        yield Cause("stopping", "the leader was asked to stop and ends what runs", advice="wait for its end; then go on with --restart")
    if told.running:
        job = told.running_jobs[0]
        example = f", for example {job.name} {job.job} on {job.node or 'a node'} for {span(max(0.0, time.time() - job.since))}"
        yield Cause("running", f"{count(told.running, 'job')} {'runs' if told.running == 1 else 'run'}{example}{_used(page)}", job.job)
    waiting = [request for request in page.requests if not request.started]
    if waiting:
        yield _waiting_for_room(page, waiting, told.ready)
    if page.held:
        one = page.held == 1
        text = f"{count(page.held, 'service')} {'waits' if one else 'wait'} for others to end, as there may be only so many at a time"
        advice = "wait; or end the run, and --restart it with a greater --max-service-jobs or --max-preemptible-service-jobs"
        yield Cause("waits for services", text, advice=advice)
    elif not waiting and not told.running and page.delays:
        job_, name, until = page.delayed[0]
        text = f"{count(page.delays, 'job')} failed and {'waits' if page.delays == 1 else 'wait'} before another attempt; the first, {name} {job_}, goes on in {_until(until)}"
        yield Cause("delayed", text, job_, "wait; --retry-backoff-seconds sets how long such waits are")
    elif not waiting and not told.running:
        yield Cause("waits for leader", "nothing has run since the leader last told of itself", advice="ask again in a moment")


def _waiting_for_room(page: Page, waiting: list[RequestPage], ready: int) -> Cause:
    if misfits := [request for request in waiting if request.misfit]:
        return _misfit(f"{misfits[0].name} {misfits[0].first}".rstrip(), misfits[0], len(misfits))
    first = waiting[0]
    more = f", and {count(ready, 'more job')} {'is' if ready == 1 else 'are'} ready" if ready else ""
    text = f"{count(len(waiting), 'request')} {'waits' if len(waiting) == 1 else 'wait'} for room{more}; the first ({first.name}) needs {_needs(first)}{_used(page)}"
    return Cause("waits for room", text, first.first, "wait; to run more at a time, let jobs ask for less (`toil stats` tells what they use) or add machines")


def _misfit(name: str, request: RequestPage, requests: int = 1) -> Cause:
    more = f"; of {count(requests, 'request')} the same is true" if requests > 1 else ""
    advice = "add a larger machine, with `toil scale-cluster NAME -w TYPE=1` where toil launched the cluster; or end the run, and let the job ask for less"
    return Cause("too big", f"{name} is too big for any machine that there is now: it {request.misfit}{more}", request.first, advice)


def _used(page: Page) -> str:
    if page.slots is None:
        return ""
    used = sum(request.cores for request in page.requests if request.started)
    return f"; {used:g} of {cores(page.slots)} taken"


def _needs(request: RequestPage) -> str:
    return f"{cores(request.cores)}, {about(request.memory)} of memory, {about(request.disk)} of disk"


def _until(when: float) -> str:
    return span(max(0.0, when - time.time()))


# One job


def _told_at_once(store: JobStore, locator: str, job: str) -> Cause | None:
    """What the page of a leader at work says of a job that runs, or is about to; a large graph need not be read then."""
    last = epoch.last_epoch(store)
    page = newest_page(store, last) if status.describe_leader(store, last).state == "running" else None
    request = next((request for request in page.requests if request.first == job), None) if page and job else None
    if page is None or request is None:
        return None
    try:
        store.stat(keys.commit(request.id, request.next))
    except NoSuchKey:
        return _in_request(f"{request.name} {job}", job, request, page, locator)
    return None  # it has ended since


class _Chain:
    """Follows a job to the cause.

    Args:
        graph: The graph as the store tells it.
        page: What a leader that may be at work told last.
        locator: The job store.
        options: Of the run.
    """

    def __init__(self, graph: Graph, page: Page | None, locator: str, options: EngineOptions) -> None:
        self._graph = graph
        self._page = page
        self._locator = locator
        self._options = options
        self._below: dict[str, list[JobState]] | None = None
        self._seen: set[str] = set()
        at_work: Callable[[JobState], tuple[Cause, JobState | None]] = self._at_work
        self._by_stage: Mapping[Stage, Callable[[JobState], tuple[Cause, JobState | None]]] = {
            WAITING: self._waiting,
            CHILDREN: self._ran,
            FOLLOWING: self._ran,
            DONE: self._done,
            FAILED: self._failed,
            **{stage: at_work for stage in Stage if stage not in (WAITING, CHILDREN, FOLLOWING, DONE, FAILED)},
        }

    def of(self, job: JobState) -> Iterator[Cause]:
        """The steps from the job to the cause; each job once."""
        following: JobState | None = job
        while following is not None and following.id not in self._seen:
            self._seen.add(following.id)
            stage = FAILED if following.id in self._graph.failed else following.stage  # a graph that was read is ready to try all again
            cause, following = self._by_stage[stage](following)
            yield cause

    def _done(self, job: JobState) -> tuple[Cause, JobState | None]:
        return Cause("done", f"{name_of(job)} is done", job.id), None

    def _failed(self, job: JobState) -> tuple[Cause, JobState | None]:
        return self._for_good(job, self._graph.failures.get(job.id)), None

    def _for_good(self, job: JobState, failure: Failure | None) -> Cause:
        reason = f": {reason_text(failure.reason.value, failure.message)}" if failure else ""
        log = f"its log: `{logs_command(self._locator, job.id)}`; " if failure and failure.log else ""
        advice = f"{log}when the cause is gone, go on with --restart"
        tries = f" after {count(job.tries, 'attempt')} that counted" if job.tries else ""
        return Cause("failed", f"{name_of(job)} failed for good{tries}{reason}", job.id, advice)

    def _ran(self, job: JobState) -> tuple[Cause, JobState | None]:
        left = [each for each in self._under(job) if each.stage is not DONE]
        below = next((each for each in left if each.id in self._graph.failed), left[0] if left else None)
        sort = "children" if job.stage is CHILDREN else "follow-ons"
        waits = f" and waits for what is below its {sort}" + (f", such as {name_of(below)}" if below else "")
        return Cause("waits for jobs below", f"{name_of(job)} itself is done{waits}", job.id), below

    def _waiting(self, job: JobState) -> tuple[Cause, JobState | None]:
        for upper in job.above:
            if job in upper.children:
                return Cause("waits for job", f"{name_of(job)} waits for its predecessor {name_of(upper)}", job.id), upper
            if job in upper.follow_ons:
                return Cause("waits for job", f"{name_of(job)} waits for {name_of(upper)} and all below its children", job.id), upper
        for need in job.needs:
            if not need.resolved:
                return Cause("waits for value", f"{name_of(job)} waits for the value of {name_of(need)}", job.id), self._behind(need)
        return self._at_work(job)

    def _behind(self, need: JobState) -> JobState:
        """Whom a value that is not complete waits for: its own job, or a job whose value it promises."""
        while need.ran:
            missing = next((each for each in need.value_needs if not each.resolved), None)
            if missing is None:
                break
            need = missing
        return need

    def _at_work(self, job: JobState) -> tuple[Cause, JobState | None]:
        page, id = self._page, job.id
        if page is None:
            return Cause("waits for leader", f"{name_of(job)} could run, but no leader is at work", id), None
        for request in page.requests:
            if id == request.first or (id in known.jobs if (known := self._graph.requests.get(request.id)) else False):
                return _in_request(name_of(job), id, request, page, self._locator), None
        for delayed, _, until in page.delayed:
            if delayed == id:
                last = self._graph.failures.get(id)
                reason = f" ({reason_text(last.reason.value, last.message)})" if last else ""
                advice = "wait; --retry-backoff-seconds sets how long such waits are"
                return Cause("delayed", f"{name_of(job)} failed{reason} and is tried again in {_until(until)}", id, advice), None
        for failed, _, final, failure in page.failures:
            if failed == id and final:
                return self._for_good(job, failure), None
        if big := _too_big(job.kind.requirement, page.capacity):
            return Cause("too big", f"{name_of(job)} can never run: it {big}", id, "let it ask for less, or use larger machines, and --restart"), None
        if held := why_services.of(self._graph, job, page, self._options):
            return held
        if page.stopping:
            return Cause("stopping", f"{name_of(job)} could run, but the leader was asked to stop", id, "wait for its end; then --restart"), None
        text = f"{name_of(job)} is ready and waits for room{_used(page)}, as the leader told {span(max(0.0, time.time() - page.written))} ago"
        return Cause("waits for room", text, id, "wait; to run more at a time, let jobs ask for less (`toil stats`) or add machines"), None

    def _under(self, job: JobState) -> list[JobState]:
        if self._below is None:
            self._below = {}
            for each in self._graph.jobs.values():
                for upper in each.above:
                    self._below.setdefault(upper.id, []).append(each)
        return self._below.get(job.id, [])


def _in_request(name: str, id: str, request: RequestPage, page: Page, locator: str) -> Cause:
    if request.misfit:
        return _misfit(name, request)
    if not request.started:
        text = f"{name} waits for room in the batch system: it needs {_needs(request)}{_used(page)}"
        return Cause("waits for room", text, id, "wait; to run more at a time, let jobs ask for less (`toil stats`) or add machines")
    place = f"on {request.node or 'a node'} for {span(max(0.0, time.time() - request.started))}"
    if id != request.first:
        return Cause("running", f"{name} is in request {request.id}, which runs {place}; {count(request.jobs, 'job')} of it are left", id)
    return Cause("running", f"{name} runs {place}", id, f"what it prints: `{logs_command(locator, id)} --follow`")


def _too_big(needed: Requirement, there: Requirement | None) -> str:
    if there is None:
        return ""
    if needed.cores > there.cores:
        return f"needs {cores(needed.cores)}, and the largest machine has {there.cores:g}"
    if needed.memory > there.memory:
        return f"needs {about(needed.memory)} of memory, and the largest machine has {about(there.memory)}"
    if needed.disk > there.disk:
        return f"needs {about(needed.disk)} of disk, and the largest machine has {about(there.disk)}"
    return ""


def _named(graph: Graph, name: str) -> JobState | None:
    same = [job for job in graph.jobs.values() if job.kind.name == name and job.stage is not DONE]
    if len(same) > 1:
        shown = ", ".join(job.id for job in same[:5])
        raise UsageError(f"{len(same):,} jobs that are not done are named {name!r}; say which one by its id: {shown}{', …' if len(same) > 5 else ''}")
    return same[0] if same else None


def _forgotten(attempts: Iterator[Attempt], graph: Graph, locator: str, job: str, damaged: list[str]) -> Cause:
    """A job that the graph does not know any more, as a job that is done."""
    names: dict[str, None] = {state.kind.name: None for state in graph.jobs.values()}
    for attempt in attempts:
        if attempt.outcome == "done" and job in (attempt.job, attempt.name):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.started + attempt.wall))
            return Cause("done", f"{attempt.name} {attempt.job} is done, since {when}; it took {span(attempt.wall)}", attempt.job)
        names[attempt.name] = None
    if damaged:
        raise UsageError(f"what is left of {locator} tells of no job {job!r}; it may have been in what is damaged ({'; '.join(damaged)})")
    close = difflib.get_close_matches(job, [*names, *graph.jobs], 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"`toil status {quoted(locator)}` lists names"
    raise UsageError(f"there is no job {job!r} in {locator}; {hint}")

