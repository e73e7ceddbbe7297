"""A decorator that calls a function again when it fails."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

logger = logging.getLogger("toil.lib.retry")

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_INTERVALS = (1, 1, 2, 4, 8, 16, 32)


def retry(
    intervals: Iterable[float] | None = None,
    infinite_retries: bool = False,
    errors: Sequence[Any] | None = None,
    log_message: tuple[Callable[[str], Any], str] | None = None,
    prepare: Iterable[Callable[[], Any]] | None = None,
) -> Callable[[F], F]:
    """Call the function again when it raises one of some errors, after a pause that grows.

    Args:
        intervals: Seconds of each pause; there are as many retries.
        infinite_retries: Go on with the last pause for ever.
        errors: The classes of errors; all if not given.
        log_message: Called with the text before each retry.
        prepare: Called before each retry.
    """
    pauses = list(DEFAULT_INTERVALS if intervals is None else intervals)
    wanted: tuple[type[BaseException], ...] = tuple(error for error in errors or () if isinstance(error, type)) or (Exception,)

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def calling(*args: Any, **kwargs: Any) -> Any:
            left = list(pauses)
            while True:
                try:
                    return function(*args, **kwargs)
                except wanted as error:
                    if not left:
                        raise
                    pause = left[0] if infinite_retries and len(left) == 1 else left.pop(0)
                    say, text = log_message or (logger.info, f"{getattr(function, '__name__', function)} is tried again in {pause} s")
                    say(f"{text}: {error}")
                    threading.Event().wait(pause)
                    for each in prepare or ():
                        each()

        return calling  # type: ignore[return-value]

    return decorate
