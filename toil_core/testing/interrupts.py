"""The part of the batch system suite that is about asking requests to end in good order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from toil_core.batch_system import BatchSystem, CanInterrupt, Reason, State
from toil_core.testing.runners import await_death, body, kind

if TYPE_CHECKING:
    from toil_core.testing.batch_system import Run


def _interrupting(system: BatchSystem) -> Callable[[Iterable[str], float], None]:
    if not isinstance(system, CanInterrupt):
        pytest.skip("cannot ask requests to end in good order")
    return system.interrupt


class InterruptCases:
    """Cases for a batch system that is `CanInterrupt`; part of `BatchSystemContract`."""

    seconds: float
    """How long anything may take."""

    def test_what_is_interrupted_can_still_commit(self, run: Run, batch_system: BatchSystem) -> None:
        started = run.path("started")
        request = run.request(body("until asked", started))
        interrupt = _interrupting(batch_system)
        run.system.submit([request])
        run.await_file(started)
        interrupt([request.id, "1-999999"], self.seconds)
        (update,) = run.ends([request])
        assert update.reason is None
        ((result, value, commit),) = run.results(request)
        assert result.failure is None and value == b"asked" and commit.final
        interrupt([request.id], 0.0)
        run.values(run.request(body("nothing")))
        assert len([u for u in run.updates[request.id] if u.state is State.ENDED]) == 1

    def test_what_does_not_heed_an_interrupt_is_ended(self, run: Run, batch_system: BatchSystem) -> None:
        started = run.path("started")
        request = run.request(body("ignore signals", started, run.path("never")))
        interrupt = _interrupting(batch_system)
        run.system.submit([request])
        pid = int(run.await_file(started))
        interrupt([request.id], 0.1)
        (update,) = run.ends([request])
        assert update.reason is Reason.CANCELLED
        await_death(pid, self.seconds)

    def test_an_interrupt_reaches_the_attempt_alone(self, run: Run, batch_system: BatchSystem) -> None:
        """What it started can be ended by itself, in its own order."""
        started, pids = run.path("started"), run.path("pids")
        request = run.request(body("until asked", started, pids))
        interrupt = _interrupting(batch_system)
        run.system.submit([request])
        run.await_file(started)
        interrupt([request.id], self.seconds)
        run.ends([request])
        ((_, value, _),) = run.results(request)
        assert value == b"asked; the child still ran"
        await_death(int(Path(pids).read_text()), self.seconds)

    def test_a_service_commits_that_it_is_up_at_once(self, run: Run, batch_system: BatchSystem) -> None:
        of = replace(kind(), service=True)
        request = run.request(body("serve", "address"), of=of)
        interrupt = _interrupting(batch_system)
        run.system.submit([request])
        while not any(update.state is State.COMMITTED for update in run.updates.get(request.id, ())):
            run.hear()
        interrupt([request.id], self.seconds)
        (update,) = run.ends([request])
        assert (update.reason, update.commits) == (None, 2)
        (_, value, first), (result, _, last) = run.results(request)
        assert value == b"address" and not first.final and last.final and result.failure is None
