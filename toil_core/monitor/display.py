"""The progress display of a terminal; the only module of a run that imports rich."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from toil_core.monitor.logging import LineHandler, to_stderr
from toil_core.monitor.progress import Kind, Progress
from toil_core.monitor.text import span

REFRESHES = 4
"""Times a second that the display is drawn."""
_MOST_ROWS = 15
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


@contextmanager
def displayed(progress: Progress, lines: LineHandler) -> Iterator[None]:
    """Keep a display of the counts at the bottom of the terminal until the block ends; lines appear above it.

    Args:
        progress: The counts.
        lines: What shows the log.
    """
    console = Console(file=sys.stderr, highlight=False)
    to_console = sys.stdout is not None and sys.stdout.isatty()  # what goes to a pipe must not come to the terminal
    view = View(progress)
    live = Live(view, console=console, refresh_per_second=REFRESHES, redirect_stdout=to_console, redirect_stderr=True)

    def show(text: str, level: int) -> None:
        console.print(Text(text, _STYLES.get(level, "")), soft_wrap=True)

    with suppress(OSError):
        live.start()
    lines.show = show
    try:
        yield
    finally:
        lines.show = to_stderr
        with suppress(OSError):
            live.stop()


class View:
    """Draws the counts, with at most as many rows as the terminal has room for.

    Args:
        progress: The counts.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress = self._progress
        if not progress.started:
            return
        kinds = list(progress.kinds.items())
        room = max(1, min(_MOST_ROWS, console.size.height - 5))
        shown = kinds if len(kinds) <= room else _liveliest(kinds, room)
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("job", no_wrap=True, overflow="ellipsis", max_width=max(8, console.size.width - 52))
        for name in ("done", "", "running", "failed"):
            table.add_column(name, no_wrap=True, justify="left" if not name else "right")
        for name, kind in shown:
            _add(table, name, kind.done, kind.total, kind.running, kind.failed)
        if len(shown) < len(kinds):
            table.add_row(Text(f"… and {len(kinds) - len(shown)} more", "dim"))
        if len(kinds) > 1:
            _add(table, "all", progress.done, progress.total, progress.running, progress.failed)
        yield table
        yield Text(f"{progress.title}, {_elapsed(progress)}", "dim", no_wrap=True, overflow="ellipsis")


def _add(table: Table, name: str, done: int, total: int, running: int, failed: int) -> None:
    bar = ProgressBar(total=max(total, 1), completed=min(done, total), width=20)
    table.add_row(Text(name), f"{done:,}/{total:,}", bar, f"{running:,}" if running else "", Text(f"{failed:,}", "red") if failed else "")


def _liveliest(kinds: list[tuple[str, Kind]], room: int) -> list[tuple[str, Kind]]:
    """As many as there is room for: what failed or runs first, then what is still to do; in their usual order."""
    ranked = sorted(kinds, key=lambda item: (item[1].failed > 0, item[1].running > 0, item[1].done < item[1].total), reverse=True)
    names = {name for name, _ in ranked[:room]}
    return [item for item in kinds if item[0] in names]


def _elapsed(progress: Progress) -> str:
    seconds = max(0.0, time.time() - progress.started)
    return span(seconds) if seconds >= 60 else f"{seconds:.0f} s"
