"""Leaves out of a state of the protocol's model what can matter no more, so that fewer states are to be visited.

Once the second leader's first checkpoint is there, the first one cannot write any. Then nobody looks at what it thinks, at
what it saved, or at those of its attempts that do not count, whatever it and its workers still do: the second leader has read
what it takes in. While the first one is about to remove blobs, and when it has finished, this is not so, and nothing is left out.
"""

from __future__ import annotations

from tests.protocol.model import CLOSE, DELETE, FINISHED, NONE, REMOVED, REPLACED, RUN, Attempt, Job, Leader, State, View, pending


def forgotten(state: State) -> State:
    """The state that stands for all which differ from it only in what can matter no more."""
    if not state.folded or not any(leader.epoch == 1 and leader.at in (RUN, REPLACED) for leader in state.leaders):
        return state
    jobs = tuple(_job(job) for job in state.jobs)
    idle = not any(pending(job, 2) for job in jobs)
    first, second = (_leader(leader, idle=idle) for leader in state.leaders)
    return state._replace(jobs=jobs, leaders=(first, second))


def _leader(leader: Leader, *, idle: bool) -> Leader:
    """The first leader is as good as replaced; the second one, when it has nothing to remove, has done so."""
    if leader.epoch == 1:
        return leader._replace(at=REPLACED)
    if idle and leader.at in (DELETE, CLOSE):
        return leader._replace(at=RUN if leader.at == DELETE else FINISHED)
    return leader


def _job(job: Job) -> Job:
    """Of the first leader's attempts only the one that counts is left, as its only one."""
    view, saved = job.views[1], job.saved[1]
    assert view is not None and saved is not None
    kept: tuple[Attempt, ...] = ()
    known: tuple[int, ...] = ()
    done = view.done
    if done is not None and done[0] == 1:
        attempt, known = job.attempts[0][done[1]], (view.garbage[0][done[1]],)
        kept = (attempt._replace(blob=NONE) if known == (REMOVED,) else attempt,)  # the first leader may put a void where it was
        view = view._replace(done=(1, 0))
        saved = saved._replace(done=saved.done and (1, 0))
    view = View(view.done, view.open, (known, view.garbage[1]))
    return Job((kept, job.attempts[1]), (None, view), (None, saved))
