"""Finds out that only services run and nothing that needs them ever will, and says so. Pure.

That nothing else runs for a while proves nothing where others share the machines, or more of them may
come: there the user is told, and the run goes on. Where all that there is is known, it is a deadlock
when no job that waits for room fits beside the services.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from toil_core.batch_system import Requirement
from toil_core.leader.issue import batch_requirement
from toil_core.leader.services import Limits, Service, lacks
from toil_core.leader.state import JobState
from toil_core.sizes import cores
from toil_core.wire.jobs import Kind

_SHOWN = 5


class Watch:
    """Measures for how long only services run.

    Args:
        limits: What bounds services.
    """

    def __init__(self, limits: Limits) -> None:
        self.at: float | None = None
        """When to look next."""
        self.told = False
        """Whether the user was told that it may be a deadlock."""
        self._limits = limits
        self._since = 0.0

    def idle(self) -> None:
        """No services run, or nothing waits for room."""
        self.at = None

    def look(self, now: float, *, moved: bool, running: bool) -> bool:
        """Whether only services have run for long enough.

        Args:
            now: Seconds since 1970.
            moved: Whether anything ended just now, or came up.
            running: Whether anything but services runs.
        """
        wait = self._limits.deadlock_wait
        if moved:
            self._since = now
        if self.at is None:
            self.at = max(now, self._since) + wait
        elif now >= self.at:
            if now >= self._since + wait and not running:
                self.at = now + wait
                return True
            self.at = now + wait if running else self._since + wait
        return False


def for_want_of_room(services: Sequence[Service], waiting: Iterable[tuple[Kind, JobState, int]], room: Requirement | None) -> str:
    """Why no job that waits for room ever gets it, as far as that is known; empty when one will.

    Args:
        services: Those that run.
        waiting: For each request that has not started its kind, a job of it, and how many it has.
        room: What there is in all; None when unknown.
    """
    taken = [service.job.kind.requirement for service in services]
    smallest = min(waiting, key=lambda item: _size(batch_requirement(item[0], item[2])), default=None)
    if smallest is None:
        return ""
    kind, job, count = smallest
    needed = batch_requirement(kind, count)
    lines = ["only services run, and no job that waits for them gets any room:", *_named(services)]
    if room is None:
        asked = cores(needed.cores)
    else:
        asked = lacks(left(room, taken), [needed])
        if not asked:
            return ""
    lines.append(f"  the smallest job that waits is {kind.name} {job.id}; it needs {asked}" + (" beside the services" if room else ""))
    lines.append("use a larger machine, give the services less, or have fewer of them at a time")
    return "\n".join(lines)


def for_want_of_leave(running: Sequence[Service], queued: Sequence[Service], limits: Limits) -> str:
    """Why services that wait for others to end never start.

    Args:
        running: Services that run.
        queued: Services that may not start beside them.
        limits: What bounds them.
    """
    preemptible = queued[0].job.kind.requirement.preemptible
    option = "--max-preemptible-service-jobs" if preemptible else "--max-service-jobs"
    most = limits.preemptible if preemptible else limits.services
    owner = queued[0].crew.owner
    lines = [f"only services run, and more may not start, as {option} allows {most}:", *_named(running)]
    lines.append(f"  {queued[0].job.kind.name} {queued[0].job.id} has to start before anything below {owner.kind.name} {owner.id} can run")
    lines.append(f"allow more services with {option}")
    return "\n".join(lines)


def left(room: Requirement, taken: Iterable[Requirement]) -> Requirement:
    """What is left of the room."""
    free, memory, disk = room.cores, room.memory, room.disk
    for each in taken:
        free, memory, disk = free - each.cores, memory - each.memory, disk - each.disk
    return replace(room, cores=max(0.0, free), memory=max(0, memory), disk=max(0, disk))


def _size(needed: Requirement) -> tuple[float, int, int]:
    return needed.cores, needed.memory, needed.disk


def _named(services: Sequence[Service]) -> list[str]:
    lines = []
    for service in services[:_SHOWN]:
        needed = service.job.kind.requirement
        owner = service.crew.owner
        lines.append(f"  {service.job.kind.name} {service.job.id}, a service of {owner.kind.name} {owner.id}, has {cores(needed.cores)}")
    if len(services) > _SHOWN:
        lines.append(f"  … and {len(services) - _SHOWN} more")
    return lines
