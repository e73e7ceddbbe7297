"""`python -m toil_core.worker LOCATOR KEY`: run the work that lies in a job store, for engines that can only run a command."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from toil_core.batch_system import Requirement, State, Update
from toil_core.errors import ToilError, UsageError
from toil_core.job_store import JobStore
from toil_core.leader.options import EngineOptions
from toil_core.options import Config
from toil_core.plugins import open_job_store
from toil_core.wire.work import Work, decode_setup, decode_work
from toil_core.worker import lease
from toil_core.worker.host import WorkerHost

USAGE = "usage: python -m toil_core.worker LOCATOR KEY"


def main(arguments: Sequence[str]) -> int:
    """Fetch the work under the key, run it, and commit what came of it.

    Args:
        arguments: The job store's locator, and the key.

    Returns:
        0 when everything was committed, 1 when it was not, 2 for a wrong call.
    """
    if len(arguments) != 2:
        print(USAGE, file=sys.stderr)
        return 2
    locator, key = arguments
    try:
        with open_job_store(locator, Config()) as store:
            with store.read(key) as stream:
                work = decode_work(stream.read())
            config = _options(store, work)
    except UsageError as error:
        print(f"toil worker: {error}", file=sys.stderr)
        return 2
    return run(work, config)


def _options(store: JobStore, work: Work) -> Config:
    """The run's options, so that they hold from the start even if the store goes away; else the defaults, and the host says what is wrong."""
    try:
        with store.read(work.setup) as stream:
            setup = decode_setup(stream.read())
    except (ToilError, msgspec.MsgspecError):
        return Config()
    return Config.from_dict(setup.options) if setup.options else Config()


def run(work: Work, config: Config) -> int:
    """Run the work here; SIGTERM and SIGINT end it."""
    ended = threading.Event()
    last: list[Update] = []

    def deliver(update: Update) -> None:
        last[:] = [update]
        if update.state is State.ENDED:
            ended.set()

    root = Path(os.environ.get("TMPDIR") or "/tmp")
    host = WorkerHost(root, deliver, config, keep_cache=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(host, work, config))
    try:
        host.start(work, _all_of(work))
        lease.wait(ended, work, config, lambda: _end(host, work, config))
    finally:
        host.close()
    update = last[0]
    if update.reason is None:
        return 0
    print(f"toil worker: request {update.id} ended: {update.reason.value}: {update.message}", file=sys.stderr)
    return 1


def _end(host: WorkerHost, work: Work, config: Config) -> None:
    """End the work; a service is given time to stop."""
    if any(kind.service for kind in work.kinds):
        host.interrupt(work.request, config[EngineOptions].service_grace)
    else:
        host.cancel(work.request)


def _all_of(work: Work) -> Requirement:
    """The most that any of the tasks needs."""
    needs = [kind.requirement for kind in work.kinds]
    return max(needs, key=lambda needed: (needed.cores, needed.memory, needed.disk))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
