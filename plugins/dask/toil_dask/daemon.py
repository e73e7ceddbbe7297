"""What the programs of a cluster's nodes have in common: quiet settings, signals, and no web pages."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTINGS: dict[str, Any] = {
    "distributed.admin.low-level-log-length": 100,  # of each leader's events, commits among them
    "distributed.admin.tick.limit": "30s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "15s",
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.http.routes": [],
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": "10s",
    "distributed.worker.daemon": False,
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
}
"""Dask as we want it: the loss of a node is seen in seconds and never mended behind our back; nothing is kept that nobody reads."""

STOPPING = 60.0
"""Seconds to end in good order; then the process ends in any case, and what runs under it with it."""
NOTICE = "TOIL_PREEMPTION_NOTICE"
"""The variable that names a file which appears when the machine is about to be taken away."""
_IN_CLOSE_WRITE_OR_MOVED_TO = 0x8 | 0x80


@dataclass
class Signals:
    """What this process was told from outside.

    Args:
        stop: Set by SIGTERM, by SIGINT, and by the end of standard input when that is watched.
        notice: Called at SIGUSR1, and when the file that `TOIL_PREEMPTION_NOTICE` names appears.
        noticed: Whether one of these was.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    notice: Callable[[], None] | None = None
    noticed: bool = False

    def be_noticed(self) -> None:
        """The machine will be taken away."""
        self.noticed = True
        if self.notice is not None:
            self.notice()


class NoPages:
    """In the place of Dask's web server: it would listen without any protection."""

    def start_http_server(self, routes: Sequence[object], dashboard_address: object, **_: object) -> None:
        """Start none."""
        self.http_application = self.http_server = _Nothing()


class _Nothing:
    applications: Sequence[object] = ()

    def add_application(self, application: object) -> None:
        """Ignore it."""


def run(main: Callable[[Signals], Awaitable[int]], folder: Path, *, with_stdin: bool = False) -> int:
    """Run a daemon in the foreground until it ends; its exit code.

    Args:
        main: The daemon; it ends when it is told to stop, and is ended if it has not done so in `STOPPING` seconds.
        folder: The cluster's folder on this node.
        with_stdin: Whether to stop at the end of standard input, which is that of whoever started this.
    """
    import dask

    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr, level=logging.INFO)
    dask.config.set({**SETTINGS, "temporary-directory": str(folder / "dask")})

    async def running() -> int:
        loop, signals = asyncio.get_running_loop(), Signals()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signals.stop.set)
        loop.add_signal_handler(signal.SIGUSR1, signals.be_noticed)
        notice = os.environ.get(NOTICE)
        if notice:
            watch_for(Path(notice), signals.be_noticed)
        if with_stdin:
            os.set_blocking(0, False)
            loop.add_reader(0, _read, loop, signals.stop)
        limit = asyncio.ensure_future(_limit(signals.stop))
        try:
            return await main(signals)
        finally:
            limit.cancel()

    return asyncio.run(running())


def watch_for(path: Path, appeared: Callable[[], None], is_there: Callable[[Path], bool] = Path.exists) -> None:
    """Call the function once when the file is there, from the running event loop.

    Args:
        path: The file; it is looked at when something of its name appears.
        appeared: The function.
        is_there: Whether what is there will do.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    notices = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()

    def look() -> None:
        with suppress(BlockingIOError):
            os.read(notices, 65536)
        if is_there(path):
            loop.remove_reader(notices)
            os.close(notices)
            appeared()

    if libc.inotify_add_watch(notices, os.fsencode(path.parent), _IN_CLOSE_WRITE_OR_MOVED_TO) < 0:
        os.close(notices)  # there is no such folder, so nobody will say anything there
        return
    loop.add_reader(notices, look)
    loop.call_soon(look)


async def _limit(stop: asyncio.Event) -> None:
    """From the stop on, let no more than `STOPPING` seconds pass, whatever the event loop or a thread waits for."""
    await stop.wait()
    timer = threading.Timer(STOPPING, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    faulthandler.dump_traceback()
    print(f"this process was told to stop {STOPPING:g} s ago and has not; it ends now", file=sys.stderr, flush=True)
    os._exit(1)


def _read(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    try:
        ended = not os.read(0, 4096)
    except OSError as error:
        ended = not isinstance(error, BlockingIOError)
    if ended:
        loop.remove_reader(0)
        stop.set()
