"""How a new leader's graph takes in what its predecessor did not fold, and goes on from there. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toil_core.leader.state import CHILDREN, DONE, ISSUED, READY, WAITING, OpenRequest

if TYPE_CHECKING:
    from toil_core.leader.graph import Graph
    from toil_core.leader.moves import Committed


def prepare(graph: Graph, event: Committed) -> bool:
    """Make the graph such that the commit can be applied; whether it is to be.

    What the earlier leader did between the commits is not known: when it waited, when it gave a
    request up that no void tells of, how it judged failures. The commit is the truth: a job that
    it speaks of was under way, and a checkpoint job that had run before was run again.

    Args:
        graph: The graph, with all earlier commits applied.
        event: The commit.
    """
    commit = event.commit
    request = graph.requests.get(commit.request)
    if request is not None and commit.number < request.next:
        return False
    known = [job for entry in commit.entries if (job := graph.jobs.get(entry.result.job))]
    for job in known if graph.redo.scopes else ():
        scope = graph.redo.scopes.get(job.id)
        if scope is not None and graph.jobs.get(job.id) is job:
            graph.redo.drop(graph, scope)
    named = [job for job in known if not job.pending and graph.jobs.get(job.id) is job and (job.kind.service or not job.ran)]
    if request is None:
        if not named:
            return False
        request = graph.requests[commit.request] = OpenRequest(named[0].kind, ())
    request.next = commit.number  # what is missing before it cannot be read, and runs again
    for job in named:
        request.jobs[job.id] = job
        if not job.kind.service:
            job.stage = ISSUED
        elif (former := graph.services.members[job.id].request) != commit.request:  # it was started anew
            graph.requests.pop(former, None)
            graph.services.adopt(commit.request, job)
    return True


def take_over(graph: Graph) -> None:
    """Give every open request up; tries start anew."""
    graph.requests.clear()
    graph.delayed.clear()
    graph.failed.clear()
    for job in list(graph.jobs.values()):
        kind = job.kind
        if kind.service:
            continue
        ran = CHILDREN <= job.stage <= DONE
        if not ran or kind.checkpoint:
            job.tries = job.losses = 0
        if not ran:
            job.stage = WAITING if job.pending else READY
            if job.stage is READY:
                graph.ready(job)
    graph.services.take_over()
