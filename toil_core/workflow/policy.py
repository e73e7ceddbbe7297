"""What the run's options say about every job's requirement: defaults and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from toil_core.batch_system import Requirement
from toil_core.errors import GraphError
from toil_core.sizes import cores
from toil_core.workflow.requirement import Wanted

if TYPE_CHECKING:
    from toil_core.options import Config
    from toil_core.wire.work import Estimate

Amount = TypeVar("Amount", int, float)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the run's options say about every job.

    Args:
        default: What a job needs where it does not say.
        max_cores: No job may ask for more cores; None for no limit.
        max_memory: Likewise bytes of memory.
        max_disk: Likewise bytes of disk.
        max_wall_time: Likewise seconds of time.
        estimates: What jobs should be given where they do not say, by name.
        estimate_all: Whether that also holds for those that say.
    """

    default: Requirement
    max_cores: float | None = None
    max_memory: int | None = None
    max_disk: int | None = None
    max_wall_time: float | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    estimate_all: bool = False

    @classmethod
    def of(cls, config: Config, estimates: Mapping[str, Estimate] | None = None) -> Policy:
        """The policy that the run's options make.

        Args:
            config: The options.
            estimates: What earlier runs teach, by job name.
        """
        from toil_core.leader.options import EngineOptions

        options = config[EngineOptions]
        default = Requirement(
            cores=options.default_cores,
            memory=options.default_memory,
            disk=options.default_disk,
            preemptible=options.default_preemptible,
            wall_time=options.default_wall_time,
        )
        limits = options.max_cores, options.max_memory, options.max_disk, options.max_wall_time
        return cls(default, *limits, estimates or {}, options.estimate_all)

    def complete(self, wanted: Wanted, name: str) -> Requirement:
        """The requirement of a job, defaults filled in.

        Args:
            wanted: What the job says.
            name: Its name, for errors.

        Raises:
            GraphError: It is more than the run allows.
        """
        default = self.default
        if name in self.estimates:
            wanted = self._estimated(wanted, self.estimates[name])
        requirement = Requirement(
            cores=default.cores if wanted.cores is None else wanted.cores,
            memory=default.memory if wanted.memory is None else wanted.memory,
            disk=default.disk if wanted.disk is None else wanted.disk,
            preemptible=default.preemptible if wanted.preemptible is None else wanted.preemptible,
            accelerators=default.accelerators if wanted.accelerators is None else wanted.accelerators,
            wall_time=default.wall_time if wanted.wall_time is None and not wanted.service else wanted.wall_time,
        )
        _check("cores", requirement.cores, self.max_cores, name)
        _check("memory", requirement.memory, self.max_memory, name)
        _check("disk", requirement.disk, self.max_disk, name)
        if requirement.wall_time is not None:
            _check("wall-time", requirement.wall_time, self.max_wall_time, name)
        return requirement


    def _estimated(self, wanted: Wanted, found: Estimate) -> Wanted:
        """What the job says, with estimates where it does not; time is estimated only where a limit would hold anyway."""
        every = self.estimate_all
        timed = not wanted.service and (self.default.wall_time is not None or wanted.wall_time is not None)
        return replace(
            wanted,
            memory=_within(found.memory, self.max_memory) if every or wanted.memory is None else wanted.memory,
            disk=_within(found.disk, self.max_disk) if every or wanted.disk is None else wanted.disk,
            wall_time=_within(found.wall_time, self.max_wall_time) if timed and (every or wanted.wall_time is None) else wanted.wall_time,
        )


def _within(amount: Amount, limit: Amount | None) -> Amount:
    return amount if limit is None else min(amount, limit)


def _check(dimension: str, asked: float, limit: float | None, name: str) -> None:
    if limit is None or asked <= limit:
        return
    if dimension == "cores":
        amounts = cores(asked), f"{limit:g}"
    elif dimension == "wall-time":
        amounts = f"{asked:g} s", f"{limit:g} s"
    else:
        from toil_core.sizes import format_size

        amounts = f"{format_size(int(asked))} of {dimension}", format_size(int(limit))
    raise GraphError(f"job '{name}' asks for {amounts[0]}; --max-{dimension} allows {amounts[1]}")
