"""Ending in good order, also when an end is asked for twice."""

from __future__ import annotations

import os
import signal

import pytest

from toil_core.cluster.good_order import ended_in_good_order, taken_back
from toil_core.errors import Interrupted, ToilError

pytestmark = pytest.mark.usefixtures("with_terminal")
AGAIN = "`toil destroy-cluster demo` removes the rest"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_as_ctrl_c_does(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="the launch was asked to end") as error, ended_in_good_order("the launch"):
        os.kill(os.getpid(), number)
    assert error.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_asks_again_while_things_are_removed_is_told_what_is_left(number: signal.Signals) -> None:
    told = taken_back(lambda: os.kill(os.getpid(), number), "what was made", AGAIN)
    assert told == f"removing it was interrupted too, and machines may be left that are paid for: {AGAIN}"


def test_what_came_of_removing_is_told() -> None:
    def fails() -> None:
        raise ToilError("the cloud is away")

    assert taken_back(lambda: None, "what was made", AGAIN) == "what was made is removed"
    assert taken_back(fails, "what was made", AGAIN) == f"what was made could not be removed (the cloud is away): {AGAIN}"
