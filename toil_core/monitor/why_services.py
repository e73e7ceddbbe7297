"""Why a job does not run when that is because of a service: one that is not up, or may not start."""

from __future__ import annotations

from toil_core.leader.graph import Graph
from toil_core.leader.options import EngineOptions
from toil_core.leader.page import Page
from toil_core.leader.services import QUEUED, UP, Service
from toil_core.leader.state import JobState
from toil_core.monitor.causes import Cause, name_of
from toil_core.sizes import count


def of(graph: Graph, job: JobState, page: Page, options: EngineOptions) -> tuple[Cause, JobState | None] | None:
    """The service that keeps the job from running, and whom to ask next; None when none does.

    Args:
        graph: As the store tells it.
        job: A job that is in no request, and waits neither for a predecessor nor for a value.
        page: What the leader told last.
        options: Of the run.
    """
    service = graph.services.members.get(job.id)
    if service is not None:
        return _of_service(graph, service, page, options)
    for crew in graph.services.above(job):
        missing = next((each for each in crew.services if each.phase is not UP), None)
        if missing is not None:
            return Cause("waits for service", f"{name_of(job)} waits until the service {name_of(missing.job)} is up", job.id), missing.job
    return None


def _of_service(graph: Graph, service: Service, page: Page, options: EngineOptions) -> tuple[Cause, JobState | None] | None:
    job, parent, owner = service.job, service.parent, service.crew.owner
    if not service.crew.active:
        return Cause("waits for job", f"{name_of(job)} waits for {name_of(owner)}, whose service it is", job.id), owner
    if parent is not None and parent.phase is not UP:
        return Cause("waits for service", f"{name_of(job)} waits until the service {name_of(parent.job)} is up", job.id), parent.job
    preemptible = job.kind.requirement.preemptible
    most = options.max_preemptible_service_jobs if preemptible else options.max_service_jobs
    kinds = [each.kind for request in page.requests if (each := graph.jobs.get(request.first))]
    alive = sum(kind.service and kind.requirement.preemptible is preemptible for kind in kinds)
    if service.phase is not QUEUED or most is None or alive < most:
        return None
    option = "--max-preemptible-service-jobs" if preemptible else "--max-service-jobs"
    text = f"{name_of(job)} may not start yet: {count(alive, 'service')} {'runs' if alive == 1 else 'run'}, and {option} allows no more"
    return Cause("waits for services", text, job.id, f"wait until one of them is not needed any more; or end the run, and --restart it with a greater {option}"), None
