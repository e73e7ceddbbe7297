"""Jobs whose cores, memory or disk other jobs compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.here import Here, JobFailed
from toil_core import Job, job, promised, run
from toil_core.errors import BadOption, GraphError, WorkflowFailed
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.workflow.flatten import flatten_root
from toil_core.workflow.policy import Policy
from toil_core.workflow.stand_in import stand_in

MIB = 1 << 20


@job(cores=0.5, memory=64 * MIB, disk=MIB)
def size(number: int) -> dict[str, int]:
    return {"size": number * MIB}


@job(cores=0.5, disk=MIB)
def needed(job: Job[Any], extra: Any = None) -> tuple[int, str, Any]:
    return job.requirements.memory, job.name, extra


@job(cores=0.5, memory=64 * MIB, disk=MIB)
def note(folder: Path, name: str, *after: Any) -> str:
    with open(folder / "order", "a") as file:
        file.write(name + "\n")
    return name


class Fit(Job[int]):
    def __init__(self, memory: Any, folder: Path) -> None:
        super().__init__(cores=0.5, memory=memory, disk=MIB)
        self.folder = folder

    def run(self) -> int:
        (self.folder / "order").open("a").write("fit\n")
        self.add_child(note(self.folder, "dynamic"))
        return self.requirements.memory


def test_a_need_can_be_another_jobs_value(tmp_path: Path) -> None:
    root = Job[Any]()
    node = root.add_child(size(3))
    root.add_follow_on(needed.requiring(memory=node.rv("size"))(node))
    here = Here(tmp_path)
    here.run(root)
    assert here.order == ["Job", "size", "needs of needed", "needed"]
    real = next(known for known in here.jobs.values() if known.kind.name == "needed")
    assert real.kind.requirement.memory == 3 * MIB


@job(cores=0.5, memory=64 * MIB, disk=MIB)
def start(job: Job[Any], folder: Path) -> Any:
    node = job.add_child(size(5))
    triple = promised(lambda found, more: 3 * found["size"] + more, node, 7)
    return job.add_child(needed.requiring(memory=triple)(node.rv("size")))


def test_a_whole_run_in_which_a_running_job_promises_needs(tmp_path: Path) -> None:
    assert run(start(tmp_path), job_store=f"file:{tmp_path}/store") == (15 * MIB + 7, "needed", 5 * MIB)


def test_successors_come_after_the_real_job_and_all_below_it(tmp_path: Path) -> None:
    root = Job[Any](cores=0.5, memory=MIB, disk=MIB)
    node = root.add_child(size(64))
    fit = root.add_child(Fit(node.rv("size"), tmp_path))
    child = fit.add_child(note(tmp_path, "child", fit))
    fit.add_follow_on(note(tmp_path, "follow-on", child, fit))
    run(root, job_store=f"file:{tmp_path}/store")
    assert (tmp_path / "order").read_text().split() == ["fit", "dynamic", "child", "follow-on"]


@job(cores=0.5, memory=64 * MIB, disk=MIB)
def top(job: Job[Any]) -> Any:
    node = job.add_child(size(1))
    return [job.add_child(needed.requiring(memory=promised(lambda found: "12 pounds", node))())]


def test_a_need_that_cannot_be_used_fails_at_once_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(WorkflowFailed, match="needs of needed .*memory: '12 pounds' is not a size"):
        run(top(), job_store=f"file:{tmp_path}/store")


def test_a_need_above_the_limit_fails_in_the_stand_in(tmp_path: Path) -> None:
    root = size(65)
    root.add_child(needed.requiring(memory=root.rv("size"))())
    with pytest.raises(JobFailed, match="'needed' asks for 65 MiB of memory; --max-memory allows 64 MiB"):
        Here(tmp_path, Config([EngineOptions(max_memory=64 * MIB)])).run(root)


def test_changing_a_promised_need_takes_the_promise_away() -> None:
    node = size(1)
    twice = needed.requiring(memory=node.rv("size"), cores=promised(lambda found: 1.0, node))
    assert [what for what, _ in twice.needs.promised] == ["cores", "memory"]
    assert [what for what, _ in twice.requiring(memory="1 GiB").needs.promised] == ["cores"]
    assert twice.requiring(memory="1 GiB").needs.memory == 1 << 30


def test_a_promise_of_a_job_that_was_never_added_is_named() -> None:
    lost = size(1)
    root = Job[Any]()
    root.add_child(needed.requiring(memory=lost.rv("size"))())
    with pytest.raises(GraphError, match="'needed' needs the value of job 'size', which was never added"):
        flatten_root(root, "0", Policy.of(Config()))


def test_a_job_that_needs_the_value_of_what_comes_after_it_is_refused() -> None:
    root = Job[Any]()
    node = size(1)
    middle = root.add_child(needed.requiring(memory=node.rv("size"))())
    middle.add_child(node)
    with pytest.raises(GraphError, match="wait for one another"):
        flatten_root(root, "0", Policy.of(Config()))


def test_the_needs_of_a_service_are_no_promises() -> None:
    node = size(1)
    service = needed.requiring(memory=node.rv("size"))()
    service._toil_wanted = replace(service._toil_wanted, service=True)
    with pytest.raises(GraphError, match="service 'needed' has promised needs"):
        stand_in(service, None)


def test_only_amounts_can_be_promised() -> None:
    with pytest.raises(BadOption, match="is a function|name="):
        needed.requiring(name=size(1))  # type: ignore[arg-type]
