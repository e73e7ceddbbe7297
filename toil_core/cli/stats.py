"""`toil stats`: what jobs used, and what of their requests they wasted."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from toil_core.errors import BadOption, ToilError
from toil_core.options import Config, OptionParser

if TYPE_CHECKING:
    from toil_core.leader.history import Attempt
    from toil_core.monitor.stats import KindStats

_CATEGORIES = ("time", "clock", "wait", "memory", "disk")
_FIELDS = {"min": "min", "med": "median", "median": "median", "ave": "mean", "mean": "mean", "max": "max", "total": "total"}
_TITLES = {"time": "wall time", "clock": "CPU time", "wait": "wall time without CPU", "memory": "peak memory", "disk": "disk"}


def configure(parser: OptionParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("locator", metavar="LOCATOR", help="The job store; of a workflow that is over, one that was kept: --stats or --clean never.")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="Print JSON instead of text: by kind, in seconds and bytes.")
    shape.add_argument("--csv", action="store_true", help="Print comma-separated values instead: a line for each kind.")
    parser.add_argument("--raw", action="store_true", help="Print every attempt instead: a JSON object on each line, or a line of values with --csv.")
    parser.add_argument("--pretty", "--human", action="store_true", help="Print text with units; what happens anyway without --json, --csv and --raw.")
    parser.add_argument("--output-file", "--outputFile", metavar="FILE", help="Write there instead of to standard output.")
    parser.add_argument("--categories", metavar="LIST", default=",".join(_CATEGORIES), help=f"What to tell, of {', '.join(_CATEGORIES)}. [all]")
    parser.add_argument("--sort-category", "--sortCategory", choices=_CATEGORIES, default="time", help="What kinds are sorted by. [time]")
    parser.add_argument("--sort-field", "--sortField", choices=tuple(_FIELDS), default="total", help="Which of its columns. [total]")
    parser.add_argument("--sort-reverse", "--sortReverse", action="store_true", help="The least first.")
    parser.add_argument("--sort", choices=("ascending", "descending", "decending"), help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, config: Config) -> int:
    """Print the statistics.

    Returns:
        0, or 1 when something is left out because what told of it is damaged.

    Raises:
        NoSuchJobStore: Nothing is stored there.
        BadOption: An option cannot be used.
    """
    from toil_core.monitor import history
    from toil_core.monitor.stats import stats
    from toil_core.plugins import open_job_store
    from toil_core.wire.bounded import watched

    categories = _chosen(arguments.categories)
    least_first = arguments.sort_reverse or arguments.sort == "ascending"
    with open_job_store(arguments.locator, config) as store, _Output(arguments.output_file) as out:
        damaged: list[str] = []
        attempts = history.read(watched(store), arguments.locator, damaged)
        if arguments.raw:
            _raw(attempts, out, csv=arguments.csv)
            return history.tell_damage(damaged)
        kinds, whole = stats(attempts)
        field = _FIELDS[arguments.sort_field]
        kinds.sort(key=lambda kind: getattr(kind.categories[arguments.sort_category], field), reverse=not least_first)
        if arguments.json:
            import msgspec

            out.write(msgspec.json.format(msgspec.json.encode({"kinds": kinds, "all": whole}), indent=2).decode() + "\n")
        elif arguments.csv:
            _csv(kinds, out)
        else:
            out.write(text(kinds, whole, categories, arguments.locator) + "\n")
    return history.tell_damage(damaged)


def text(kinds: list[KindStats], whole: KindStats | None, categories: Iterable[str], locator: str) -> str:
    """The statistics as people read them."""
    from toil_core.monitor.text import about, table
    from toil_core.sizes import count

    if whole is None:
        return f"no attempt at a job of {locator} has ended yet"
    rows = [*kinds, whole] if len(kinds) > 1 else kinds
    parts = [f"{count(whole.attempts, 'attempt')}, {whole.done:,} succeeded, {whole.failed:,} failed"]
    for category in categories:
        shown = about if category in ("memory", "disk") else _time
        spreads = [(kind, kind.categories[category]) for kind in rows]
        lines = [
            (kind.name, f"{kind.attempts:,}", *(shown(value) for value in (s.min, s.median, s.mean, s.max)), "-" if shown is about else _time(s.total))
            for kind, s in spreads
        ]
        parts.append(f"{_TITLES[category]}:\n" + table(("job", "attempts", "min", "median", "mean", "max", "total"), lines, right=range(1, 7)))
    lines = []
    for kind in rows:
        cores, memory, disk = (kind.shares[what] for what in ("cores", "memory", "disk"))
        lines.append(
            (
                kind.name, f"{cores.requested:.2f}", f"{cores.used:.2f}", f"{cores.wasted:.3g}",
                about(memory.requested), about(memory.used), f"{memory.wasted:.3g}",
                about(disk.requested), about(disk.used), f"{disk.wasted:.3g}",
            )
        )  # fmt: skip
    head = ("job", "cores", "used", "core-hours unused", "memory", "peak", "GiB-hours unused", "disk", "most", "GiB-hours unused")
    parts.append("requested and used:\n" + table(head, lines, right=range(1, 10)))
    return "\n\n".join(parts)


def _time(seconds: float) -> str:
    from toil_core.monitor.text import span

    return span(seconds) if seconds >= 0.0995 or not seconds else f"{seconds * 1000:.2g} ms"


def _chosen(text: str) -> list[str]:
    chosen = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in chosen if word not in _CATEGORIES]
    if unknown or not chosen:
        raise BadOption(f"--categories: there is no {', '.join(unknown) or 'name in it'}; write some of {','.join(_CATEGORIES)}")
    return chosen


def _raw(attempts: Iterable[Attempt], out: IO[str], *, csv: bool) -> None:
    import msgspec

    if not csv:
        encoder = msgspec.json.Encoder()
        for attempt in attempts:
            out.write(encoder.encode(attempt).decode() + "\n")
        return
    from csv import writer

    from toil_core.leader.history import Attempt

    lines = writer(out, lineterminator="\n")
    lines.writerow(Attempt.__struct_fields__)
    for attempt in attempts:
        lines.writerow([" ".join(value) if isinstance(value, tuple) else value for value in msgspec.structs.astuple(attempt)])


def _csv(kinds: list[KindStats], out: IO[str]) -> None:
    from csv import writer

    lines = writer(out, lineterminator="\n")
    columns = [f"{category}_{field}" for category in _CATEGORIES for field in ("min", "median", "mean", "max", "total")]
    shares = [f"{what}_{field}" for what in ("cores", "memory", "disk") for field in ("requested", "used", "wasted_hours")]
    lines.writerow(["name", "attempts", "done", "failed", *columns, *shares])
    for kind in kinds:
        spreads = [value for category in _CATEGORIES for value in _values(kind.categories[category])]
        used = [value for what in ("cores", "memory", "disk") for value in _values(kind.shares[what])]
        lines.writerow([kind.name, kind.attempts, kind.done, kind.failed, *spreads, *used])


def _values(record: object) -> list[float]:
    return [getattr(record, name) for name in record.__struct_fields__]  # type: ignore[attr-defined]


class _Output:
    """Standard output, or a file.

    Args:
        path: The file; None for standard output.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> IO[str]:
        if self._path is None:
            return sys.stdout
        try:
            self._file = open(self._path, "w", encoding="utf-8")
        except OSError as error:
            raise BadOption(f"--output-file {self._path} cannot be written: {error.strerror}") from None
        return self._file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as full:
            raise ToilError(f"--output-file {self._path} cannot be written: {full.strerror}") from None
        if isinstance(error, OSError) and error.filename is None:
            raise ToilError(f"--output-file {self._path} cannot be written: {error.strerror}") from None
