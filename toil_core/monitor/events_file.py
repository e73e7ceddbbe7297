"""What happens in a run, written to a file: a JSON object on each line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from toil_core.errors import BadOption
from toil_core.events import Event
from toil_core.leader.tell import Listener
from toil_core.leader.watch_options import WatchOptions
from toil_core.options import Config

_log = logging.getLogger("toil.leader")


@contextmanager
def recorded(config: Config) -> Iterator[list[Listener]]:
    """Listeners for `lead`: one that writes the file of the option `events`, or none without it.

    Each line is an event of `toil_core.events` as it happens: its fields by their names, and `event`, the
    name of its class. Reasons are text. A file that exists is added to.

    Raises:
        BadOption: The file cannot be written.
    """
    path = config[WatchOptions].events
    if not path:
        yield []
        return
    try:
        stream = Path(path).expanduser().open("ab", buffering=0)
    except OSError as error:
        raise BadOption(f"file of events {path} cannot be written: {error.strerror}") from None
    with stream:

        full = False

        def write(event: Event) -> None:
            nonlocal full
            if full:
                return
            try:
                stream.write(line(event))
            except OSError as error:
                full = True
                _log.warning("the file of events %s cannot be written any more: %s; the run goes on without it", path, error.strerror)

        yield [write]


def line(event: Event) -> bytes:
    """The event as a line of JSON."""
    values: dict[str, Any] = {"event": type(event).__name__}
    values.update((field.name, getattr(event, field.name)) for field in fields(event))
    return msgspec.json.encode(values, enc_hook=dict) + b"\n"
