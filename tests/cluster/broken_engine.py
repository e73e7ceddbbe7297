"""The engine `broken`, for tests: it does not work on the workers that the variable BROKEN_WORKERS names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePosixPath

from toil_core.cluster_engine import EngineNode, Role
from toil_core.drivers.single_machine_engine import SingleMachineEngine


class BrokenEngine(SingleMachineEngine):
    """Does nothing, and on some workers not even that."""

    def ready(self, role: Role, node: EngineNode, leader_address: str, folder: PurePosixPath) -> Sequence[str]:
        broken = os.environ.get("BROKEN_WORKERS", "").split()
        return ["sh", "-c", "echo its certificate is old >&2; exit 3"] if node.name in broken else ["true"]
