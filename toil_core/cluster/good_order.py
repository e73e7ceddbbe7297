"""Ending in good order what makes machines, however it is asked for, and saying what is left when even that is not waited for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from toil_core.errors import Interrupted, ToilError


@contextmanager
def ended_in_good_order(what: str) -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal unless that is to be ignored, end it as Ctrl-C does.

    Args:
        what: What ends, for the user.

    Raises:
        Interrupted: It was asked to end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(f"{what} was asked to end", 128 + number)

    heeded = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def taken_back(take_back: Callable[[], None], what: str, again: str) -> str:
    """Remove what was made; what came of that, for the user. Whoever asks for an end again gets it, and is told what is left.

    Args:
        take_back: Removes it.
        what: What is removed, as a subject with `is` after it.
        again: What the user can do when it is not all removed.
    """
    try:
        with ended_in_good_order("removing"):
            take_back()
    except (KeyboardInterrupt, Interrupted):
        return f"removing it was interrupted too, and machines may be left that are paid for: {again}"
    except ToilError as trouble:
        return f"{what} could not be removed ({trouble}): {again}"
    return f"{what} is removed"
