"""The part of the batch system suite that is about who has a turn when not all have room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toil_core.batch_system import HasCapacity
from toil_core.testing.runners import body, kind
from toil_core.waiting_line import PATIENCE

if TYPE_CHECKING:
    from toil_core.batch_system import Request
    from toil_core.testing.batch_system import Run


def _beside_a_service(run: Run) -> tuple[float, Request, Path]:
    """The cores of a machine, a service that runs there on a quarter of them, and the file that ends it."""
    if not isinstance(run.system, HasCapacity):
        pytest.skip("does not know its machines")
    cores, started, go = run.system.capacity().cores, run.path("started"), run.path("go")
    service = run.request(body("wait", started, go), of=kind(cores=cores / 4), lasting=True)
    run.system.submit([service])
    run.await_file(started)
    return cores, service, Path(go)


class TurnCases:
    """Cases for a batch system with one machine that it knows; part of `BatchSystemContract`."""

    def test_users_of_a_service_have_their_turn_although_larger_ones_wait_for_its_end(self, run: Run) -> None:
        """However many these are, and of however many kinds."""
        cores, service, go = _beside_a_service(run)
        kinds = [kind(cores=cores, wall_time=1000.0 + number) for number in range(50)]
        large = [run.request(body("nothing"), of=kinds[number % len(kinds)]) for number in range(run.system.backlog + 100)]
        run.system.submit(large)
        run.values(*[run.request(body("nothing"), of=kind(cores=cores / 2)) for _ in range(PATIENCE + 10)])
        assert not any(request.id in run.updates for request in large)
        run.system.cancel([request.id for request in large[1:]])
        go.touch()
        assert [update.reason for update in run.ends([service, large[0]])] == [None, None]
        run.ends(large)

    def test_a_large_one_has_its_turn_although_smaller_ones_always_wait(self, run: Run) -> None:
        """One before it, which has no room beside a service, takes nothing of that from it."""
        cores, service, go = _beside_a_service(run)
        small = [run.request(body("nothing"), of=kind(cores=cores / 4)) for _ in range(3 * PATIENCE)]
        never, large = (run.request(body("nothing"), of=kind(cores=cores * share)) for share in (1.0, 0.75))
        run.system.submit([small[0], never, large, *small[1:]])
        run.ends([large, *small])
        assert run.ended.index(large.id) < len(small), "all that came later went before it"
        assert never.id not in run.updates
        go.touch()
        assert [update.reason for update in run.ends([service, never])] == [None, None]
