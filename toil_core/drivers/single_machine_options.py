"""Options of the batch system that runs jobs on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from toil_core.options import Group, option
from toil_core.sizes import parse_cores, parse_factor, parse_size


@dataclass(frozen=True)
class SingleMachineOptions:
    """How much of this machine jobs may use."""

    scale: float = option(1.0, "Multiply every job's cores by this.", parse=parse_factor)
    local_cores: float | None = option(None, "Cores that jobs may use in all, instead of all that there are.", parse=parse_cores)
    local_memory: int | None = option(None, "Memory that jobs may use in all, instead of all that there is.", parse=parse_size)
    local_disk: int | None = option(None, "Temporary disk that jobs may use in all, instead of all that is free.", parse=parse_size)


GROUP = Group("single_machine", SingleMachineOptions)
