"""Jobs that run on the leader's machine while the batch system is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.workflow.test_services import SMALL, layer, notes, see
from toil_core import Job, job, run
from toil_core.batch_system import BatchSystem, CanInterrupt, Request
from toil_core.drivers.single_machine import SingleMachine
from toil_core.leader.local import LocalJobs
from toil_core.options import Config
from toil_core.testing.batch_system import BatchSystemContract


class TestLocalJobs(BatchSystemContract):
    """They are run as any other jobs."""

    abilities = (CanInterrupt,)

    @pytest.fixture
    def batch_system(self) -> Iterator[BatchSystem]:
        yield LocalJobs(Config())


class Elsewhere(SingleMachine):
    """Says that it is not here."""

    here = False
    names: ClassVar[list[str]] = []

    def submit(self, requests: Sequence[Request]) -> None:
        self.names.extend(request.name for request in requests)
        super().submit(requests)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all requests that the batch system gets."""
    from toil_core import plugins

    Elsewhere.names = []
    monkeypatch.setattr(plugins, "open_batch_system", lambda name, config: Elsewhere(config))
    return Elsewhere.names


@job(cores=0.1)
def remote(*given: Any) -> int:
    return 1


@job(local=True, cores=100_000)
def beside(job: Job[Any], *given: Any) -> int:
    return job.add_child(remote())  # type: ignore[return-value]


def test_local_jobs_do_not_go_to_the_batch_system(tmp_path: Path, elsewhere: list[str]) -> None:
    assert run(beside(), job_store=f"file:{tmp_path / 'store'}", disable_hot_deployment=True, **SMALL) == 1
    assert elsewhere == ["remote"]


def test_unless_they_are_to(tmp_path: Path, elsewhere: list[str]) -> None:
    node = beside.requiring(cores=0.1)()
    options: dict[str, Any] = {**SMALL, "run_local_jobs_on_workers": True, "disable_hot_deployment": True, "disable_chaining": True}
    assert run(node, job_store=f"file:{tmp_path / 'store'}", **options) == 1
    assert elsewhere == ["beside", "remote"]


def test_they_wait_for_services_too(tmp_path: Path, elsewhere: list[str]) -> None:
    root = Job[None](name="root")
    given = root.add_service(layer(tmp_path, "one"))
    root.add_child(beside(given)).add_child(see(tmp_path))
    run(root, job_store=f"file:{tmp_path / 'store'}", disable_hot_deployment=True, **SMALL)
    assert notes(tmp_path) == ["one-up", "user", "one-down"]
    assert sorted(elsewhere) == ["layer", "remote", "root", "see"]
