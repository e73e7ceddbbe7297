"""What to tell the user when a workflow did not succeed."""

from __future__ import annotations

from toil_core.leader.graph import Graph
from toil_core.leader.moves import Finish
from toil_core.locators import quoted
from toil_core.sizes import count

_SHOWN = 5


def explain(finish: Finish, graph: Graph, locator: str) -> str:
    """Which jobs failed, why, and what to do next; a few lines.

    Args:
        finish: How the run ended.
        graph: The graph at its end.
        locator: What the user calls the job store.
    """
    if finish.stuck:
        return _stuck(finish, graph)
    if finish.why:
        return f"the workflow cannot go on: {finish.why}\nthen go on with: --restart on {locator}"
    from toil_core.monitor.text import printable

    failed = len(graph.failed)
    lines = [f"{count(failed, 'job')} failed for good ({graph.ran:,} of {count(graph.total, 'job')} done):"]
    for id, job in list(graph.failed.items())[:_SHOWN]:
        failure = graph.failures.get(id)
        lines.append(
            f"  {job.kind.name} {id}: {failure.reason.value}: {printable(failure.message)}" if failure else f"  {job.kind.name} {id}"
        )
        if failure and failure.log:
            lines.append(f"    its log: toil logs {quoted(locator)} {id}")
    if failed > _SHOWN:
        lines.append(f"  … and {failed - _SHOWN:,} more: toil status {quoted(locator)}")
    lines.append(f"when the cause is gone, go on with: --restart on {locator}")
    return "\n".join(lines)


def _stuck(finish: Finish, graph: Graph) -> str:
    lines = ["the workflow cannot go on: these jobs wait for values that will never be there"]
    for id in finish.stuck[:_SHOWN]:
        job = graph.jobs[id]
        missing = next((need for need in job.needs if not need.resolved), None)
        behind = f" waits for the value of {missing.kind.name} {missing.id}" if missing else " waits for its predecessors"
        lines.append(f"  {job.kind.name} {id}{behind}")
    lines.append("a job's value may promise only what does not itself wait for that job's consumers")
    return "\n".join(lines)
