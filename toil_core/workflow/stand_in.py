"""Jobs whose needs are promised: a stand-in waits for the values, then adds the real job.

Only workers can see values, so the leader cannot know what such a job needs. In its place a tiny
job is put into the graph under its id. It computes the needs, adds the real job as its child, and
returns its promise, so whoever was promised the job's value gets the real one's. The job's own
successors move below an empty job that follows on the stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from toil_core.errors import GraphError
from toil_core.workflow.job import FunctionJob, Job, JobFunction, job
from toil_core.workflow.pickling import find_reference
from toil_core.workflow.promise import Computed
from toil_core.workflow.requirement import Wanted, wanted

_MEMORY = 256 << 20
_DISK = 1 << 20

Later = tuple[tuple[str, Callable[..., Any] | None, tuple[Any, ...]], ...]
"""For each promised need its name, what computes it (None when the value itself is it), and the values."""


class After(Job[None]):
    """Does nothing: what comes after a job whose needs are promised comes after this.

    Args:
        name: The job's name.
        most: The most memory that a job may ask for.
    """

    def __init__(self, name: str, most: int | None) -> None:
        super().__init__(cores=0.1, memory=_least(most), disk=_DISK, name=f"after {name}", isolated=False)

    def run(self) -> None:
        """Do nothing."""


def stand_in(node: Job[Any], most: int | None) -> Job[Any]:
    """The job that takes the place of one whose needs are promised.

    Args:
        node: That job.
        most: The most memory that a job may ask for.

    Raises:
        GraphError: It is a service, which must be known before it starts.
    """
    given = node._toil_wanted
    if given.service:
        raise GraphError(f"service '{node.name}' has promised needs; only those of jobs may be promises")
    later = tuple(
        (what, value.function, value.args) if isinstance(value, Computed) else (what, None, (value,)) for what, value in given.promised
    )
    own = replace(given, promised=(), name=node.name)
    if isinstance(node, FunctionJob):
        maker = find_reference(node.function) or node.function.function
        return _for(node, most)(later, own, maker, node.args, node.kwargs)
    return _for(node, most)(later, own, type(node), (node.__getstate__(),), {})


def _for(node: Job[Any], most: int | None) -> JobFunction[..., Any]:
    given = node._toil_wanted
    return needs.requiring(memory=_least(most), name=f"needs of {node.name}", preemptible=given.preemptible, tries=given.tries)


def _least(most: int | None) -> int:
    return _MEMORY if most is None else min(_MEMORY, most)


@job(cores=0.1, disk=_DISK)
def needs(job: Job[Any], later: Later, own: Wanted, maker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute what a job needs, and add it.

    Args:
        job: The running stand-in.
        later: How to compute what was promised.
        own: The job's other needs, and its name.
        maker: Its function (`module:name` when workers find it there) or its class.
        args: The function's arguments; of a class, the object's state.
        kwargs: The function's keyword arguments.
    """
    found: dict[str, Any] = {what: values[0] if function is None else function(*values) for what, function, values in later}
    known = wanted(**found)
    complete = replace(own, **{what: getattr(known, what) for what in found})
    return job.add_child(_made(complete, maker, args, kwargs))


def _made(needs: Wanted, maker: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job[Any]:
    from toil_core.workflow.body import find_function, revive

    if isinstance(maker, type):
        node = revive(maker, args[0])
        node._toil_wanted = needs
        return node
    return JobFunction(find_function(maker) if isinstance(maker, str) else maker, needs)(*args, **kwargs)
