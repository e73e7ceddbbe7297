"""The seam between the process machinery and what runs in it.

A runner is a function `run(task, kind, values, place) -> (Result, payload)`, named by
`Setup.runner`. If its module has a function `prepare(setup)`, that is called once before any task
runs, to find what every task would look for anew. The fork server calls it in a fresh process (or, for jobs that are not
isolated, again and again in one). It turns what the user's code raises into a failed
`Result`; whatever it raises itself counts as a failure of the attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from toil_core.job_store import JobStore
from toil_core.wire.jobs import Kind, Result
from toil_core.wire.work import Setup, Task


class Place(msgspec.Struct):
    """Where an attempt runs.

    Args:
        request: The request's id.
        tmp: The attempt's own folder, its working directory; emptied when it ends.
        open_store: Opens the job store, once per process.
        setup: The epoch's setup.
        index: Which of the request's tasks this is; no other task of the request has the number.
        cache: Folder of the node's cache; empty when there is none.
        say: Passes a message (level and text) to the user at once; None when only the commit can carry it.
        defer: Notes a function (its name, and its pickled call) that is to run when the attempt has ended.
        up: For a service: commits that it is up, at once, with what its users are given.
        mark: Tells this execution of the request from any other.
    """

    request: str
    tmp: Path
    open_store: Callable[[], JobStore]
    setup: Setup
    index: int = 0
    cache: str = ""
    say: Callable[[int, str], None] | None = None
    defer: Callable[[str, bytes], None] | None = None
    up: Callable[[Result, bytes], None] | None = None
    mark: str = ""


class Runner(Protocol):
    """Runs one task in this process."""

    def __call__(self, task: Task, kind: Kind, values: Mapping[str, bytes], place: Place) -> tuple[Result, bytes]:
        """What came of it, and the payload that the result's spans speak of.

        Args:
            task: The task; its body is bytes.
            kind: The job's kind.
            values: The encoded values, by producer.
            place: Where it runs.
        """
        ...
