"""`toil dashboard`: a live page over a workflow, in a browser."""

from __future__ import annotations

import argparse
import html
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from toil_core.cluster.arguments import converter
from toil_core.options import Config, OptionParser

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("--port", metavar="N", type=converter(_port), default=0, help="Where to listen on this machine. [any free port]")
    parser.add_argument("--json", action="store_true", help="Print the address as JSON.")
    parser.add_argument("--no-browser", action="store_true", help="Print the page's address and open no browser.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Serve the page until Ctrl-C.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        BadOption: The port is taken.
    """
    from toil_core.monitor.dashboard.server import Dashboard
    from toil_core.monitor.status import workflow_info
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    with open_job_store(arguments.locator, config) as store:
        workflow_info(watched(store), arguments.locator)
        dashboard = Dashboard(store, arguments.locator, arguments.port)
        try:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it too ends in good order
            print(json.dumps({"url": dashboard.url, "port": dashboard.port}) if arguments.json else dashboard.url, flush=True)
            print("keep the address to yourself: who has it can read this workflow's logs; Ctrl-C ends it", file=sys.stderr, flush=True)
            with _browser("" if arguments.no_browser or not _has_display() else dashboard.url):
                dashboard.serve()
        except KeyboardInterrupt:
            print(file=sys.stderr)
        finally:
            dashboard.closing.set()
    return 0


def _port(text: str) -> int:
    from toil_core.sync_transport import parse_port

    return 0 if text == "0" else parse_port(text)


def _has_display() -> bool:
    """Whether a browser would have a window, not this terminal."""
    return sys.platform in ("darwin", "win32") or any(name in os.environ for name in _DISPLAYS)


@contextmanager
def _browser(url: str) -> Iterator[None]:
    """Show the page to the user of this machine, by way of a file of theirs: other users see the arguments of every process.

    Args:
        url: Its address; empty to show nothing.
    """
    if not url:
        yield
        return
    import webbrowser
    from pathlib import Path

    with tempfile.NamedTemporaryFile("w", prefix="toil-dashboard-", suffix=".html") as file:  # readable by its owner only
        address = html.escape(url)
        file.write(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={address}"><a href="{address}">{address}</a>')
        file.flush()
        webbrowser.open(Path(file.name).as_uri())
        yield
