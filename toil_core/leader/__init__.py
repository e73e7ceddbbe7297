"""Decides: which job runs when, what its commit means, what becomes of a failure."""

from __future__ import annotations

from toil_core.leader.run import Outcome as Outcome
from toil_core.leader.run import begin as begin
from toil_core.leader.run import lead as lead
