"""`toil report`: a run on one page, or as data."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toil_core.errors import UsageError
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.monitor.report.model import Report

DEFAULT = "report.html"


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store.")
    parser.add_argument("-o", "--output", metavar="FILE", help=f"Where to write; `-` for standard output. [{DEFAULT}; with --json standard output]")
    parser.add_argument("--json", action="store_true", help="Write JSON instead of a page: all that it shows but the single attempts.")


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Write the report.

    Returns:
        0, or 1 when something is left out because what told of it is damaged.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        UsageError: The file cannot be written.
    """
    from toil_core.monitor.history import tell_damage

    if arguments.output == "":
        raise UsageError("argument -o/--output: the name of a file is wanted, not an empty text; - is standard output")
    damaged: list[str] = []
    report = _read(arguments.locator, config, damaged)
    target = arguments.output or ("-" if arguments.json else DEFAULT)
    data = _json(report) if arguments.json else _html(report)
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        _replace(Path(target), data)
        print(f"{os.path.abspath(target)}: open it in a browser" if not arguments.json else os.path.abspath(target), file=sys.stderr)
    return tell_damage(damaged)


def _read(locator: str, config: Config, damaged: list[str]) -> Report:
    from toil_core.monitor import history
    from toil_core.monitor.report.model import build
    from toil_core.monitor.status import examine_graph
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    with open_job_store(locator, config) as opened:
        store = watched(opened)
        status, graph, found = examine_graph(store, locator)
        return build(status, history.of(store, graph, found, damaged), graph, damaged=damaged)


def _json(report: Report) -> bytes:
    import msgspec

    told = {key: value for key, value in msgspec.structs.asdict(report).items() if key not in ("timeline", "picture")}
    told["edges"] = report.picture.edges if report.picture else []
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _html(report: Report) -> bytes:
    from toil_core.monitor.report.page import report_page

    return report_page(report).encode()


def _replace(target: Path, data: bytes) -> None:
    """Write the file; one that is there is replaced whole or not at all. What is no file, as a device or a pipe, is written to."""
    target = target.resolve()
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        staged.write_bytes(data)
        os.replace(staged, target)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise UsageError(f"{target} cannot be written: {error.strerror}") from None
