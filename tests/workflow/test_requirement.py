"""Requirements as people write them, with the run's defaults and limits."""

from __future__ import annotations

from typing import Any

import pytest

from toil_core.batch_system import Accelerator, Requirement
from toil_core.errors import BadOption
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.workflow.policy import Policy
from toil_core.workflow.requirement import parse_accelerators, wanted

NVIDIA = {"brand": "nvidia", "api": "cuda"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (2, (Accelerator(2),)),
        ("2", (Accelerator(2),)),
        ("gpu:2", (Accelerator(2),)),
        ("gpu", (Accelerator(1),)),
        ("cuda:1", (Accelerator(1, **NVIDIA),)),
        ("nvidia:4", (Accelerator(4, **NVIDIA),)),
        ("rocm", (Accelerator(1, brand="amd", api="rocm"),)),
        ("nvidia-tesla-k80:1", (Accelerator(1, model="nvidia-tesla-k80", **NVIDIA),)),
        ("nvidia-tesla-k80, gpu:3", (Accelerator(1, model="nvidia-tesla-k80", **NVIDIA), Accelerator(3))),
        ("tpu:8", (Accelerator(8, kind="tpu"),)),
        (["gpu", Accelerator(5)], (Accelerator(1), Accelerator(5))),
        (Accelerator(5), (Accelerator(5),)),
        (0, ()),
        ("gpu:0", ()),
    ],
)
def test_accelerators(text: Any, found: tuple[Accelerator, ...]) -> None:
    assert parse_accelerators(text) == found


@pytest.mark.parametrize("text", ["gpu:", ":2", "gpu:-1", "gpu:1.5", "a b", True, "gpu:two"])
def test_accelerators_that_are_none(text: Any) -> None:
    with pytest.raises(BadOption, match="accelerators"):
        parse_accelerators(text)


def test_text_and_numbers() -> None:
    found = wanted(cores="0.5", memory="2G", disk=1e9, preemptible=True, wall_time="2h", tries=3, isolated=False)
    assert (found.cores, found.memory, found.disk, found.wall_time) == (0.5, 2_000_000_000, 1_000_000_000, 7200.0)
    assert (found.preemptible, found.tries, found.isolated) == (True, 3, False)


def test_no_memory_is_a_need_and_no_time_is_none() -> None:
    assert (wanted(memory=0).memory, wanted(disk="0").disk) == (0, 0)
    with pytest.raises(BadOption, match="^wall_time: 0 leaves no time to do anything; leave it out for no limit$"):
        wanted(wall_time=0)


def test_defaults_come_from_the_run() -> None:
    options = EngineOptions(default_cores=2, default_memory=5, default_disk=7, default_preemptible=True, default_wall_time=60.0)
    policy = Policy.of(Config([options]))
    assert policy.complete(wanted(), "x") == Requirement(2, 5, 7, True, (), 60.0)
    own = wanted(cores=1, memory=1, disk=1, preemptible=False, accelerators=1, wall_time=5)
    assert policy.complete(own, "x") == Requirement(1.0, 1, 1, False, (Accelerator(),), 5.0)


def test_a_need_that_there_is_none_of_is_named_with_those_that_there_are() -> None:
    with pytest.raises(BadOption, match="'coers' is nothing that a job can ask for; that is: cores, memory"):
        wanted(coers=2)
